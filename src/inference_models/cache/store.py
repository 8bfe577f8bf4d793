"""Package folders on disk: there completely and verified, or not there."""

from __future__ import annotations

import logging
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_models.cache.digest import RunningDigest
from inference_models.cache.durable import (
    disk_errors_named,
    make_private_folder,
    refuse_when_full,
    sync_folder,
    sync_tree,
    write_file,
)
from inference_models.cache.manifest import (
    FORMAT,
    Damage,
    Manifest,
    ManifestFile,
    find_damage,
    find_difference,
    manifest_text,
    read_manifest,
)
from inference_models.cache.names import MANIFEST_NAME, check_handles, check_model_id, check_package_id, model_slug
from inference_models.cache.workspace import private_folder, sweep
from inference_models.config import cache_directory
from inference_models.entities import FileDownloadSpecs, InlineFileSpecs
from inference_models.errors import FileHashSumMissmatch, ModelRetrievalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from inference_models.entities import ArtefactSpecs

_log = logging.getLogger("inference-models")
_ROUNDS = 5
"""Other processes may put a package there, or find it damaged, while we look; more rounds than this are no race."""


@dataclass(frozen=True)
class PackageKey:
    """Which package."""

    provider: str
    model_id: str
    package_id: str

    def __post_init__(self) -> None:
        """Refuse what cannot be part of a folder name, before anything touches the disk."""
        check_model_id(self.model_id)
        check_package_id(self.package_id)


class PackageStore:
    """Package folders below one root folder.

    A folder is written privately, verified, and moved into place in one step. It is verified again, every byte of
    it, each time before it is handed out. Files in it that its manifest does not list are not part of the package.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or cache_directory()).absolute()

    def folder_of(self, key: PackageKey) -> Path:
        """Where the package is, or would be."""
        return self.root / "packages" / model_slug(key.provider, key.model_id) / key.package_id

    def open(self, key: PackageKey, files: Sequence[ArtefactSpecs] | None = None) -> Path | None:
        """The folder of a package that is stored, complete and undamaged; None otherwise. Writes nothing.

        Args:
            key: Which package.
            files: What the provider announces now; a stored package that differs is not opened.
        """
        folder = self.folder_of(key)
        return folder if self._damage(folder, key, files) is None else None

    def ensure(
        self,
        key: PackageKey,
        files: Sequence[ArtefactSpecs],
        read: Callable[[FileDownloadSpecs], Iterator[bytes]],
    ) -> Path:
        """The folder of the package; fetched when it is missing, moved to quarantine and fetched when it is damaged.

        Raises:
            CorruptedModelPackageError: a file name of the package is not safe.
            FileHashSumMissmatch: what `read` gave is not what was announced. Nothing is kept.
            ModelRetrievalError: a file is announced without a hash.
            EnvironmentConfigurationError: the cache folder is full, or must not be written to.
        """
        check_handles(item.file_handle for item in files)
        for item in files:
            _refuse_unverifiable(item)
        folder = self.folder_of(key)
        for _ in range(_ROUNDS):
            seen = _identity(folder)
            damage = self._damage(folder, key, files)
            if damage is None:
                return folder
            with disk_errors_named(self.root, needed=_total_size(files)):
                if seen is not None:
                    self._quarantine(folder, seen, damage)
                self._fetch(key, files, read)
        raise ModelRetrievalError(
            f"package {key.package_id!r} of {key.model_id!r} does not stay in the cache folder '{self.root}'.",
            needs="a folder where a package that was stored can be read back",
            found=f"damaged again after {_ROUNDS} attempts",
            fix="set INFERENCE_HOME to a folder on another disk",
        )

    def _damage(self, folder: Path, key: PackageKey, files: Sequence[ArtefactSpecs] | None) -> Damage | None:
        if folder.is_symlink() or folder.parent.is_symlink():
            return Damage(folder.name, "is a link")
        manifest = read_manifest(folder)
        if isinstance(manifest, Damage):
            return manifest
        if (manifest.provider, manifest.model_id, manifest.package_id) != (key.provider, key.model_id, key.package_id):
            return Damage(MANIFEST_NAME, "is that of another package")
        if files is not None and (difference := find_difference(manifest, files)):
            return difference
        return find_damage(folder, manifest)

    def _quarantine(self, folder: Path, seen: tuple[int, int], damage: Damage) -> None:
        _log.warning("%s: %s %s; moved to quarantine and fetched again.", folder, damage.handle, damage.reason)
        quarantine = self.root / "quarantine"
        make_private_folder(quarantine)
        target = quarantine / f"{folder.parent.name[:60]}-{folder.name[:40]}-{uuid.uuid4().hex}"
        # Another process may have repaired the package since we looked: a folder that is not the damaged one stays,
        # and one that was exchanged in the instant of the move goes back.
        if _identity(folder) != seen:
            return
        with suppress(FileNotFoundError):
            folder.rename(target)
            if _identity(target) != seen:
                with suppress(OSError):
                    target.rename(folder)

    def _fetch(
        self,
        key: PackageKey,
        files: Sequence[ArtefactSpecs],
        read: Callable[[FileDownloadSpecs], Iterator[bytes]],
    ) -> None:
        make_private_folder(self.root)
        refuse_when_full(self.root, _total_size(files))
        temporary = self.root / "tmp"
        sweep(temporary)
        with private_folder(temporary) as workspace:
            written = [_write(workspace, item, read) for item in files]
            manifest = Manifest(
                format=FORMAT,
                provider=key.provider,
                model_id=key.model_id,
                package_id=key.package_id,
                files=sorted(written, key=lambda file: file.handle),
            )
            write_file(workspace / MANIFEST_NAME, [manifest_text(manifest).encode()], RunningDigest())
            sync_tree(workspace)
            _publish(workspace, self.folder_of(key))


def _write(workspace: Path, item: ArtefactSpecs, read: Callable[[FileDownloadSpecs], Iterator[bytes]]) -> ManifestFile:
    digest = RunningDigest(with_md5=isinstance(item, FileDownloadSpecs) and item.md5_hash is not None)
    limit = item.size if isinstance(item, FileDownloadSpecs) else None
    write_file(workspace / item.file_handle, _chunks(item, read), digest, limit=limit)
    if isinstance(item, FileDownloadSpecs) and (mismatch := digest.mismatch(item)):
        announced, arrived = mismatch
        raise FileHashSumMissmatch(
            f"{item.file_handle} is not the file that was announced; it was thrown away.",
            needs=announced,
            found=arrived,
            fix="run again; if it happens again, the source is damaged or not to be trusted",
        )
    return ManifestFile(handle=item.file_handle, size=digest.size, sha256=digest.sha256)


def _chunks(item: ArtefactSpecs, read: Callable[[FileDownloadSpecs], Iterator[bytes]]) -> Iterable[bytes]:
    if isinstance(item, FileDownloadSpecs):
        return read(item)
    if isinstance(item, InlineFileSpecs):
        return [item.text.encode()]
    raise ValueError(f"{item.file_handle} is a local file: it is used in place and never stored")


def _publish(workspace: Path, folder: Path) -> None:
    make_private_folder(folder.parent)
    try:
        workspace.rename(folder)
    except OSError:
        # The folder of another process that was faster; the caller verifies it like any other.
        if not folder.is_dir():
            raise
        return
    sync_folder(folder.parent)
    sync_folder(folder.parent.parent)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _total_size(files: Sequence[ArtefactSpecs]) -> int:
    return sum(item.size or 0 for item in files if isinstance(item, FileDownloadSpecs))


def _refuse_unverifiable(item: ArtefactSpecs) -> None:
    if isinstance(item, FileDownloadSpecs) and item.sha256_hash is None and item.md5_hash is None:
        raise ModelRetrievalError(
            f"{item.file_handle} cannot be verified.",
            needs="a sha256 or md5 announced by the provider",
            found="neither",
        )
