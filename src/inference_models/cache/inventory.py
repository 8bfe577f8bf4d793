"""What the cache holds: every package with its size, its last use, and whether it is kept on purpose."""

from __future__ import annotations

import errno
import os
import uuid
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

from inference_models.cache.locks import held_alone
from inference_models.cache.manifest import Damage, Manifest, PackageKey, find_damage, read_manifest
from inference_models.cache.stamps import Stamps
from inference_models.config import cache_directory
from inference_models.errors import BaseInferenceModelsError, EnvironmentConfigurationError
from inference_models.files.digest import text_sha256
from inference_models.files.durable import disk_errors_named, make_folder, remove_tree
from inference_models.files.names import MANIFEST_NAME, MAX_NAME, is_portable_handle, model_slug
from inference_models.files.regular import is_denied, unreadable
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from inference_models.entities import FileFacts


class StoredPackage(Record, frozen=True):
    """A complete package."""

    key: PackageKey
    folder: Path
    size: int
    """Bytes of all files."""
    files: tuple[FileFacts, ...]
    stored_at: float
    """Seconds since the epoch."""
    last_used: float
    """Seconds since the epoch, as the file system counts reading: usually to the day, and never where a disk is
    mounted so that it does not count; then the same as `stored_at`."""
    pinned: bool


class Verification(Record, frozen=True):
    """Damaged files of a package folder; none when it is intact."""

    folder: Path
    key: PackageKey | None
    """None: the folder does not say."""
    damage: tuple[Damage, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is."""
        return not self.damage


class Inventory:
    """The packages below one root folder, as they lie there."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or cache_directory()).absolute()

    def folder_of(self, key: PackageKey) -> Path:
        """Where the package is, or would be. Ids that differ in upper and lower case only have folders of their own."""
        folder = self.root / "packages" / model_slug(key.provider, key.model_id) / key.package_id
        if key.package_id == key.package_id.lower() or _is_folder_of(folder, key):
            return folder
        return folder.with_name(f"{key.package_id.lower()[: MAX_NAME // 2]}-{text_sha256(key.package_id)[:8]}")

    def packages(self) -> list[StoredPackage]:
        """Every complete package, last used first. Contents are not checked; `verify` does that."""
        found = (_stored_package(self.root, folder) for folder in package_folders(self.root))
        return sorted((package for package in found if package is not None), key=lambda package: -package.last_used)

    def find(self, key: PackageKey) -> StoredPackage | None:
        """The package with this key; None when no complete one is stored."""
        return _stored_package(self.root, self.folder_of(key))

    def remove(self, key: PackageKey) -> bool:
        """Remove a package; False when there is none. Models that are loaded from it keep working.

        Raises:
            EnvironmentConfigurationError: the cache folder must not be written to; or another process holds a file of
                the package open, where the system does not remove such files. It stays.
        """
        folder = self.folder_of(key)
        try:
            with disk_errors_named(self.root, needed=0):
                return remove_folder(self.root, folder)
        except EnvironmentConfigurationError as exc:
            if not os.access(folder.parent, os.W_OK):
                raise
            raise EnvironmentConfigurationError(
                f"package {key.package_id!r} of {key.model_id!r} stays in the cache: it is open.",
                needs="no process that holds its files open",
                found=exc.found,
                fix="end the programs that use the model, then run again",
            ) from exc

    def pin(self, key: PackageKey) -> None:
        """Keep the package when `gc` makes room."""
        path = _pin_path(self.root, self.folder_of(key))
        with disk_errors_named(self.root, needed=0):
            make_folder(path.parent)
            path.touch()

    def unpin(self, key: PackageKey) -> None:
        """Let `gc` remove the package again when it makes room."""
        with disk_errors_named(self.root, needed=0):
            _pin_path(self.root, self.folder_of(key)).unlink(missing_ok=True)

    def verify(self, *, full: bool = True, key: PackageKey | None = None) -> list[Verification]:
        """What is wrong with each package, by folder. Changes nothing.

        Args:
            full: Hash every file; else trust the stamps that hold.
            key: Only this package.
        """
        only = None if key is None else self.folder_of(key)
        folders = package_folders(self.root) if only is None else iter([only] if only.exists() else [])
        return [_verification(self.root, folder, full=full) for folder in sorted(folders)]

    def unreadable(self) -> list[Path]:
        """Folders and files that this user may not read, so that nobody takes them for absent."""
        for place in (self.root, self.root / "packages"):
            if is_denied(place):
                return [place]
        models = list(_folders(self.root / "packages"))
        ways = [(folder, folder / MANIFEST_NAME) for model in models for folder in _folders(model)]
        found = (next(filter(is_denied, way), None) for way in ways)
        files = (path for _, path in stored_files(self.root) if is_denied(path))
        return [*filter(is_denied, models), *(place for place in found if place is not None), *files]

    def refuse_unreadable(self) -> None:
        """Raise where something in the cache cannot be read.

        Raises:
            EnvironmentConfigurationError: names the first such place, whose it is, and who may not read it.
        """
        remembered = self.root / "resolutions"
        hints = chain([remembered], remembered.glob("*"), remembered.glob("*/*"))
        for place in chain(self.unreadable(), filter(is_denied, hints)):
            raise unreadable(place, self.root)


def package_folders(root: Path) -> Iterator[Path]:
    """Every folder that is, or was to be, a package."""
    for model in _folders(root / "packages"):
        yield from _folders(model)


def stored_files(root: Path) -> list[tuple[FileFacts, Path]]:
    """Every file of every package, as its manifest says. Callers that use a file verify its hash."""
    found = []
    for folder in package_folders(root):
        manifest = read_manifest(folder)
        if isinstance(manifest, Manifest):
            found += [(file, folder / file.handle) for file in manifest.files if is_portable_handle(file.handle)]
    return found


def remove_folder(root: Path, folder: Path, *, unless_held: bool = False) -> bool:
    """Take a package away in one step, then its files; False when it is not there.

    Args:
        root: The cache folder.
        folder: Of the package.
        unless_held: Leave what another process is loading.

    Raises:
        PermissionError: another process holds it open; it stays.
    """
    away = root / "tmp" / f"removed-{uuid.uuid4().hex}"
    make_folder(away.parent)
    with held_alone(folder / MANIFEST_NAME) as alone:
        if unless_held and not alone:
            raise PermissionError(errno.EACCES, "another process is loading it", str(folder))
        try:
            folder.rename(away)
        except (FileNotFoundError, NotADirectoryError):
            return False
    remove_tree(away)
    for path in (stamps_path(root, folder), _pin_path(root, folder), *certificates_of(root, folder)):
        with suppress(OSError):
            path.unlink()
            path.parent.rmdir()
    with suppress(OSError):
        folder.parent.rmdir()
    return True


def stamps_path(root: Path, folder: Path) -> Path:
    """Where the stamps of the package in `folder` are."""
    return root / "stamps" / folder.parent.name / f"{folder.name}.json"


def certificates_of(root: Path, folder: Path) -> list[Path]:
    """The parity certificates of the package in `folder`, in the order of their names."""
    place = root / "parity" / folder.parent.name
    with suppress(OSError):
        return sorted(path for path in place.iterdir() if path.name.startswith(f"{folder.name}."))
    return []


def _is_folder_of(folder: Path, key: PackageKey) -> bool:
    manifest = read_manifest(folder)
    return isinstance(manifest, Manifest) and manifest.package_id == key.package_id


def _pin_path(root: Path, folder: Path) -> Path:
    """The file whose existence keeps the package in `folder`."""
    return root / "pins" / folder.parent.name / folder.name


def _stored_package(root: Path, folder: Path) -> StoredPackage | None:
    """The package in a folder; None when it is not complete."""
    manifest = read_manifest(folder)
    key = _key(manifest)
    if key is None or isinstance(manifest, Damage):
        return None
    try:
        stored_at = (folder / MANIFEST_NAME).stat().st_mtime
        used = [os.lstat(folder / file.handle).st_atime for file in manifest.files]
    except OSError:
        return None
    return StoredPackage(
        key=key,
        folder=folder,
        size=sum(file.size for file in manifest.files),
        files=tuple(manifest.files),
        stored_at=stored_at,
        last_used=max([stored_at, *used]),
        pinned=_pin_path(root, folder).exists(),
    )


def _verification(root: Path, folder: Path, *, full: bool) -> Verification:
    manifest = read_manifest(folder)
    if isinstance(manifest, Damage):
        return Verification(folder, None, (manifest,))
    path = stamps_path(root, folder)
    stamps = Stamps(path, folder) if full else Stamps.read(path, folder)
    return Verification(folder, _key(manifest), tuple(find_damage(folder, manifest, stamps)))


def _key(manifest: Manifest | Damage) -> PackageKey | None:
    if isinstance(manifest, Damage):
        return None
    with suppress(BaseInferenceModelsError):
        return PackageKey(manifest.provider, manifest.model_id, manifest.package_id)
    return None


def _folders(parent: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield parent / entry.name
