"""A folder of packages: which models it holds, and what each file hashes to. Their names are made in `model_names`."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from inference_models.errors import BaseInferenceModelsError, ModelNotFoundError, nearest_names
from inference_models.files.digest import CHUNK
from inference_models.files.names import check_handles, is_portable_handle
from inference_models.package import model_config
from inference_models.package.folder import list_package_files
from inference_models.registry.model_names import PlacedPackage, models_of
from inference_models.registry.publish import MANIFEST_FILE, describe_folder, published_package_id, stated_model_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_DEPTH = 6
MAX_FOLDERS = 100_000
MAX_COMPARED = 2_000
"""Package folders a misspelt id is compared with."""
_log = logging.getLogger("inference-models")


@dataclass(frozen=True)
class PublishedFile:
    """A file and what it holds."""

    handle: str
    path: Path
    size: int
    md5: str
    sha256: str


@dataclass(frozen=True)
class PublishedPackage:
    """A package folder, in the words of the API."""

    package_id: str
    folder: str
    """Below the root, with forward slashes."""
    model: dict[str, Any]
    """`modelArchitecture`, `taskType` and the like."""
    entry: dict[str, Any]
    """The package without its id and files."""
    files: tuple[PublishedFile, ...]


@dataclass(frozen=True)
class PublishedModel:
    """A model and its packages, sorted by id."""

    model_id: str
    facts: dict[str, Any]
    packages: tuple[PublishedPackage, ...]


@dataclass
class _Hashes:
    lock: threading.Lock = field(default_factory=threading.Lock)
    stamp: tuple[int, ...] = ()
    md5: str = ""
    sha256: str = ""


class PackageLibrary:
    """Reads the folder on every question, so that what is put there is published at once; hashes a file once."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._lock = threading.Lock()
        self._hashes: dict[str, _Hashes] = {}

    def find(self, model_id: str) -> PublishedModel:
        """The model and its packages.

        Raises:
            ModelNotFoundError: there is none of that name, or nothing of it can be published; names the nearest.
        """
        for place in self._places_of(model_id):
            placed = models_of(self._placed(place)).get(model_id)
            packages = [] if placed is None else self._read_all(model_id, placed)
            if packages:
                return PublishedModel(model_id, packages[0].model, tuple(packages))
        raise ModelNotFoundError(f"there is no model {model_id[:200]!a} here{self._nearest(model_id)}.")

    def models(self) -> Iterator[PublishedModel]:
        """Every model that can be published, by id."""
        for model_id in self.model_ids():
            with suppress(ModelNotFoundError):
                yield self.find(model_id)

    def model_ids(self) -> list[str]:
        """Every id that may be asked for, sorted."""
        places = {folder.parent for folder in self._walk()}
        return sorted(model_id for place in places for model_id in models_of(self._placed(place)))

    def file(self, name: str) -> Path | None:
        """The file of a package at `name` below the root; None when no package has it."""
        if not is_portable_handle(name):
            return None
        path = self.root / name
        for folder in path.parents:
            if folder == self.root or self.root not in folder.parents:
                return None
            if _is_package(folder):
                return self._files(folder).get(path.relative_to(folder).as_posix())
        return None

    def warm(self) -> int:
        """Hash everything ahead of the first question; the number of packages that can be published."""
        return sum(self._read(folder, named=False) is not None for folder in self._walk())

    def count(self) -> int:
        """The number of package folders, sound or not; nothing is read."""
        return sum(1 for _ in self._walk())

    def _places_of(self, model_id: str) -> list[Path]:
        """Folders whose packages may include the model of this id."""
        if not is_portable_handle(model_id):
            return []
        folder = self.root / model_id
        if not (folder.is_dir() and folder.resolve().is_relative_to(self.root)):
            return []
        return [folder.parent] if _is_package(folder) else [folder]

    def _placed(self, place: Path) -> list[PlacedPackage]:
        """The packages in a folder, as far as their names go; those that cannot be read are left out."""
        placed = (self._named_in(folder) for folder in _package_folders(place))
        return [package for package in placed if package is not None]

    def _named_in(self, folder: Path) -> PlacedPackage | None:
        relative = folder.relative_to(self.root).as_posix()
        if not folder.resolve().is_relative_to(self.root):
            return None
        try:
            model, _ = describe_folder(folder)
            stated = stated_model_id(folder)
        except (BaseInferenceModelsError, OSError) as exc:
            _log.warning("%s is not published: %s", relative, exc)
            return None
        return PlacedPackage(relative, model, stated)

    def _read_all(self, model_id: str, placed: list[PlacedPackage]) -> list[PublishedPackage]:
        read = (self._read(self.root / item.folder, named=item.folder != model_id) for item in placed)
        return sorted((item for item in read if item is not None), key=lambda package: package.package_id)

    def _files(self, folder: Path) -> dict[str, Path]:
        if not folder.resolve().is_relative_to(self.root):
            return {}
        try:
            return self._listed(folder)
        except BaseInferenceModelsError as exc:
            _log.warning("%s is not published: %s", folder.relative_to(self.root).as_posix(), exc)
            return {}

    def _listed(self, folder: Path) -> dict[str, Path]:
        """The files of a package, all of which clients accept.

        Raises:
            CorruptedModelPackageError: there is a name that clients refuse, so that nobody could load the package.
        """
        files = list_package_files(folder)
        check_handles(files)
        # Addresses hold the whole path, which has to be as portable as the part of it that clients see.
        relative = folder.relative_to(self.root).as_posix()
        check_handles(f"{relative}/{handle}" for handle in files)
        return files

    def _read(self, folder: Path, *, named: bool) -> PublishedPackage | None:
        """The package in `folder`; None, with the reason on the log, where nobody could load it."""
        relative = folder.relative_to(self.root).as_posix()
        try:
            model, entry = describe_folder(folder)
            inside = folder.resolve().is_relative_to(self.root)
            present = self._listed(folder) if inside else {}
            files = tuple(self._published(name, path) for name, path in present.items() if name != MANIFEST_FILE)
        except BaseInferenceModelsError as exc:
            _log.warning("%s is not published: %s", relative, exc)
            return None
        except OSError as exc:
            _log.warning("%s is not published: %s", relative, exc.strerror)
            return None
        package_id = published_package_id(
            folder.name if named else None, [(file.handle, file.sha256) for file in files]
        )
        return PublishedPackage(package_id, relative, model, entry, files)

    def _published(self, handle: str, path: Path) -> PublishedFile:
        with self._lock:
            hashes = self._hashes.setdefault(str(path), _Hashes())
        status = path.stat()
        stamp = (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)
        with hashes.lock:
            if hashes.stamp != stamp:
                hashes.md5, hashes.sha256 = _hash(path)
                hashes.stamp = stamp
            return PublishedFile(handle, path, status.st_size, hashes.md5, hashes.sha256)

    def _walk(self) -> Iterator[Path]:
        for count, (name, subfolders, _) in enumerate(os.walk(self.root)):
            folder = self.root / name
            subfolders[:] = sorted(entry for entry in subfolders if is_portable_handle(entry))
            if len(folder.relative_to(self.root).parts) >= MAX_DEPTH or count > MAX_FOLDERS or _is_package(folder):
                subfolders.clear()
            if folder != self.root and _is_package(folder):
                yield folder

    def _nearest(self, model_id: str) -> str:
        # Only what looks alike is read, so that questions for models that are not here stay cheap.
        places: dict[str, Path] = {}
        for folder in islice(self._walk(), MAX_COMPARED):
            for path in (folder, folder.parent):
                if path != self.root:
                    places[path.relative_to(self.root).as_posix()] = folder.parent
        alike = nearest_names(model_id[:200], places)
        known = {name for place in {places[name] for name in alike} for name in models_of(self._placed(place))}
        near = nearest_names(model_id[:200], known)
        return "; nearest: " + ", ".join(repr(name) for name in near) if near else ""


def _package_folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if is_portable_handle(child.name) and _is_package(child))


def _is_package(folder: Path) -> bool:
    return (folder / model_config.FILE_NAME).is_file()


def _hash(path: Path) -> tuple[str, str]:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            md5.update(chunk)
            sha256.update(chunk)
    return md5.hexdigest(), sha256.hexdigest()
