"""Package folders on disk: a package is either complete and verified, or absent."""

from __future__ import annotations

import logging
import os
import re
import stat
import uuid
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from inference_models.cache.inventory import Inventory, stamps_path, stored_files
from inference_models.cache.locks import hold_shared
from inference_models.cache.manifest import (
    Damage,
    Manifest,
    PackageKey,
    find_damage,
    find_difference,
    has_content,
    read_manifest,
    regular_file,
)
from inference_models.cache.stamps import Stamps
from inference_models.entities import FileDownloadSpecs
from inference_models.errors import (
    CorruptedModelPackageError,
    EnvironmentConfigurationError,
    ModelRetrievalError,
    RetryError,
)
from inference_models.files.durable import disk_errors_named, make_folder, move
from inference_models.files.names import MANIFEST_NAME, check_handles, is_portable_handle
from inference_models.files.regular import is_link, unreadable
from inference_models.machine.system import longest_path
from inference_models.record import replace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from inference_models.cache.collect import CollectionReport
    from inference_models.cache.download import AnySource
    from inference_models.cache.progress import ProgressCallback
    from inference_models.entities import ArtefactSpecs, FileFacts

__all__ = ["PackageKey", "PackageStore"]
_log = logging.getLogger("inference-models")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_MD5 = re.compile(r"[0-9A-Fa-f]{32}")
_LONGEST_PARTIAL = 170
"""Characters: a hash, the name of an owner, and that of a file that is put in place."""
_ROUNDS = 5
"""Other processes may put a package there, or find it damaged, while we look; more rounds than this are no race."""


class PackageStore(Inventory):
    """Package folders below one root folder.

    A file enters a package folder in one step, after all of it was verified; the manifest enters last, and only with
    it the folder is a package. A package is verified each time before it is handed out: by the stamps of its files,
    or by their content where a stamp does not hold. As long as the store exists, `gc` of other processes leaves what
    was handed out.
    """

    def __init__(self, root: Path | None = None) -> None:
        super().__init__(root)
        self._held: dict[Path, int] = {}
        weakref.finalize(self, _release, self._held)

    def open(self, key: PackageKey, files: Sequence[ArtefactSpecs] | None = None) -> Path | None:
        """The folder of a package that is stored, complete and undamaged; None otherwise.

        Nothing is written, but for stamps where the cache may be written and the stored ones do not hold.

        Args:
            key: Which package.
            files: What the provider announces now; a stored package that differs is not opened.
        """
        return None if self._damage(key, files) else self.folder_of(key)

    def ensure(
        self,
        key: PackageKey,
        files: Sequence[ArtefactSpecs],
        source: AnySource,
        *,
        progress: ProgressCallback | None = None,
    ) -> Path:
        """The folder of the package; files that are missing or damaged are fetched, the others stay as they are.

        Args:
            key: Which package.
            files: What the provider announces.
            source: Whoever hands over the bytes: a provider, or its `read`.
            progress: Called while files are fetched; None: a bar on a terminal.

        Raises:
            CorruptedModelPackageError: a file name of the package is not safe; or a stored file is damaged, and the
                source cannot hand it over again.
            FileHashSumMissmatch: what the source gave is not what was announced. Nothing is kept.
            RetryError: the source does not answer now. What has arrived is kept for the next call.
            ModelRetrievalError: the source cannot hand a file over, or announces it without a hash.
            EnvironmentConfigurationError: the cache folder is full, or must not be written to.
        """
        check_handles(item.file_handle for item in files)
        for item in files:
            _refuse_unverifiable(item)
        self._refuse_long_paths(key, files)
        damage = self._damage(key, files)
        if not damage:
            return self.folder_of(key)
        from inference_models.cache.install import Installation  # noqa: PLC0415 - not for what is stored

        damaged: list[Damage] = []
        for _ in range(_ROUNDS):
            installation = Installation(
                self.root, self.folder_of(key), key, files, lambda: not self._damage(key, files)
            )
            with disk_errors_named(self.root, needed=_total_size(files)):
                try:
                    damaged += self._put_aside(key, damage)
                    installation.run(source, progress)
                except (RetryError, ModelRetrievalError) as exc:
                    if not damaged:
                        raise
                    found = exc.summary if exc.found is None else f"{exc.summary} ({exc.found})"
                    fix = "run again when the source can be reached"
                    raise _unusable(key, damaged[0], needs="its source", found=found, fix=fix) from exc
            damage = self._damage(key, files)
            if not damage:
                return self.folder_of(key)
        raise ModelRetrievalError(
            f"package {key.package_id!r} of {key.model_id!r} does not stay in the cache folder '{self.root}'.",
            needs="a folder where a package that was stored can be read back",
            found=f"damaged again after {_ROUNDS} attempts",
            fix="set INFERENCE_HOME to a folder on another disk",
        )

    def gc(self, *, quota: int | None = None) -> CollectionReport:
        """Remove what no package needs: broken downloads, quarantine, orphans.

        Args:
            quota: Bytes; packages that are not pinned are removed, least recently used first, until the rest fits.
        """
        from inference_models.cache.collect import collect  # noqa: PLC0415 - not needed to load

        _release(self._held)
        with disk_errors_named(self.root, needed=0):
            return collect(self, quota)

    def cached_handles(self, key: PackageKey, files: Sequence[ArtefactSpecs]) -> frozenset[str]:
        """Handles of the announced files that need not be fetched: this package or another seems to hold them.

        Looks at names and sizes only: nothing is written, and no file of a package is opened.
        """
        manifest = read_manifest(self.folder_of(key))
        downloads = [item for item in files if isinstance(item, FileDownloadSpecs)]
        held = {item.file_handle for item in downloads if self._is_in_place(key, manifest, item)}
        stored = stored_files(self.root) if len(held) < len(downloads) else []
        elsewhere = {item.file_handle for item in downloads if any(_is_there(*found, item) for found in stored)}
        return frozenset(held | elsewhere)

    def _is_in_place(self, key: PackageKey, manifest: Manifest | Damage, item: FileDownloadSpecs) -> bool:
        if isinstance(manifest, Damage) or not is_portable_handle(item.file_handle):
            return False
        listed = [file for file in manifest.files if file.handle == item.file_handle]
        if not listed or find_difference(replace(manifest, files=listed), [item]) is not None:
            return False
        status = regular_file(self.folder_of(key), item.file_handle)
        return not isinstance(status, Damage) and status.st_size == listed[0].size

    def _damage(self, key: PackageKey, files: Sequence[ArtefactSpecs] | None) -> list[Damage]:
        """What is wrong with a package; from now on it is held while nothing is."""
        folder = self.folder_of(key)
        self._hold(folder)
        found: list[Damage] | None = None
        try:
            found = self._readable(self._found(folder, key, files), folder)
        finally:
            if found != []:
                self._let_go(folder)
        return found

    def _found(self, folder: Path, key: PackageKey, files: Sequence[ArtefactSpecs] | None) -> list[Damage]:
        if any(_is_in_the_way(place) for place in (folder, folder.parent, folder.parent.parent)):
            return [Damage(".", "lies behind a link, or is not a folder")]
        manifest = read_manifest(folder)
        if isinstance(manifest, Damage):
            return [manifest]
        if (manifest.provider, manifest.model_id, manifest.package_id) != (key.provider, key.model_id, key.package_id):
            return [Damage(MANIFEST_NAME, "is that of another package")]
        stamps = Stamps.read(stamps_path(self.root, folder), folder)
        damage = find_damage(folder, manifest, stamps)
        stamps.save()
        if not damage and files is not None and (difference := find_difference(manifest, files)):
            return [difference]
        return damage

    def _refuse_long_paths(self, key: PackageKey, files: Sequence[ArtefactSpecs]) -> None:
        limit = longest_path()
        if limit is None:
            return
        places = [self.folder_of(key) / item.file_handle for item in files]
        longest = max(len(str(place)) for place in [*places, self.root / "partials" / ("x" * _LONGEST_PARTIAL)])
        if longest > limit:
            raise EnvironmentConfigurationError(
                f"the package does not fit below the cache folder '{self.root}'.",
                needs=f"paths of at most {limit} characters, or long paths enabled in Windows",
                found=f"one of {longest} characters",
                fix="set INFERENCE_HOME to a folder with a shorter path",
            )

    def _readable(self, damage: list[Damage], folder: Path) -> list[Damage]:
        for item in damage:
            if item.is_denied:
                raise unreadable(folder / item.handle, self.root)
        return damage

    def remove(self, key: PackageKey) -> bool:
        """As for any inventory; what this object itself keeps open stands in no way."""
        self._let_go(self.folder_of(key))
        return super().remove(key)

    def _hold(self, folder: Path) -> None:
        """Keep `gc` of other processes away from a package. A file that is open is not removed on Windows either."""
        descriptor = hold_shared(folder / MANIFEST_NAME)
        self._let_go(folder)
        if descriptor is not None:
            self._held[folder] = descriptor

    def _let_go(self, folder: Path) -> None:
        descriptor = self._held.pop(folder, None)
        if descriptor is not None:
            os.close(descriptor)

    def _put_aside(self, key: PackageKey, damage: Sequence[Damage]) -> list[Damage]:
        """Move damaged files to the quarantine; returns what was wrong with a package that had been complete."""
        folder = self.folder_of(key)
        self._let_go(folder)  # Windows moves nothing that is open
        moved = []
        for item in damage:
            place = _place(folder, item)
            seen = _identity(place)
            if seen is None and item.handle != MANIFEST_NAME:
                _log.warning("%s: %s is missing; fetched again.", folder, item.handle)
                moved.append(item)
            if seen is None or item.is_news:
                continue
            points_to = place.readlink() if is_link(place) else None
            try:
                self._quarantine(place, seen)
            except OSError as exc:
                needs, found = "a cache folder this process may write to", exc.strerror or type(exc).__name__
                fix = "make the cache folder writable, or set INFERENCE_HOME to another folder"
                raise _unusable(key, item, needs=needs, found=found, fix=fix) from exc
            _log.warning("%s", _quarantine_message(folder, item, place, points_to))
            moved.append(item)
        return moved

    def _quarantine(self, place: Path, seen: tuple[int, int]) -> None:
        quarantine = self.root / "quarantine"
        make_folder(quarantine)
        target = quarantine / f"{place.name[:80]}-{uuid.uuid4().hex}"
        # Another process may have repaired the file since we looked: one that is not the damaged one stays, and one
        # that was exchanged in the instant of the move goes back.
        if _identity(place) != seen:
            return
        with suppress(FileNotFoundError):
            move(place, target)
            if _identity(target) != seen:
                with suppress(OSError):
                    move(target, place)


def _release(held: dict[Path, int]) -> None:
    while held:
        os.close(held.popitem()[1])


def _is_there(file: FileFacts, place: Path, item: FileDownloadSpecs) -> bool:
    if not has_content(file, item) or item.size not in {None, file.size}:
        return False
    with suppress(OSError):
        status = place.lstat()
        return stat.S_ISREG(status.st_mode) and status.st_size == file.size
    return False


def _place(folder: Path, damage: Damage) -> Path:
    """What has to be moved away: the file, or the first link on the way to it."""
    if damage.handle == ".":
        places = folder.parent.parent, folder.parent, folder
        return next((place for place in places if _is_in_the_way(place)), folder)
    parts = damage.handle.split("/")
    ways = [folder.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)]
    return next((way for way in ways if is_link(way) or not way.is_dir()), ways[-1])


def _quarantine_message(folder: Path, damage: Damage, place: Path, points_to: Path | None) -> str:
    """The warning for a file or link that was moved to the quarantine."""
    if damage.handle != ".":
        return f"{folder}: {damage.handle} {damage.reason}; moved to quarantine and fetched again."
    if points_to is None:
        return f"{place} is not a folder; moved to quarantine, and what belongs there is fetched again."
    return (
        f"{place} is a link to {points_to}, and links below the cache folder are not followed; moved to quarantine, "
        "and what belongs there is fetched again. To keep models on another disk, set INFERENCE_HOME to a folder "
        "there, or make the cache folder itself a link."
    )


def _is_in_the_way(place: Path) -> bool:
    with suppress(OSError):
        return is_link(place) or not stat.S_ISDIR(os.lstat(place).st_mode)
    return False


def _identity(place: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(place)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _total_size(files: Sequence[ArtefactSpecs]) -> int:
    return sum(item.size or 0 for item in files if isinstance(item, FileDownloadSpecs))


def _refuse_unverifiable(item: ArtefactSpecs) -> None:
    if not isinstance(item, FileDownloadSpecs):
        return
    announced = {_SHA256: item.sha256_hash, _MD5: item.md5_hash}
    stated = [digest for digest in announced.values() if digest is not None]
    if not stated or not all(form.fullmatch(digest) for form, digest in announced.items() if digest is not None):
        raise ModelRetrievalError(
            f"{item.file_handle} cannot be verified.",
            needs="a sha256 (64 hexadecimal digits) or md5 (32) announced by the provider",
            found=ascii(stated[0][:80]) if stated else "neither",
        )


def _unusable(key: PackageKey, damage: Damage, *, needs: str, found: str, fix: str) -> CorruptedModelPackageError:
    subject = "the folder" if damage.handle == "." else damage.handle
    summary = f"{subject} of the stored {key.model_id!r} cannot be used: {damage.reason}."
    return CorruptedModelPackageError(summary, needs=f"{needs}, to fetch it again", found=found, fix=fix)
