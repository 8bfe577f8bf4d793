"""A folder of packages: which models it holds, what they are called, and what each file hashes to.

A folder with `model_config.json` is a package. It belongs to the model named by the folder it lies in, and the folder
is a model of its own instead when

* it lies directly in the root, or
* its name is a version number (`team/pets/3`), or
* the packages beside it are of other models (`acme/resnet` beside `acme/yolo`), or
* its `model_config.json` says so: `"model_id": "acme/resnet"`. The key decides in both directions, when it is one of
  the two names that are possible.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from inference_models.entities import FileFacts
from inference_models.errors import BaseInferenceModelsError, ModelNotFoundError, nearest_names
from inference_models.files.digest import RunningDigest, file_digest
from inference_models.files.names import check_handles, check_package_id, is_portable_handle
from inference_models.package import model_config
from inference_models.package.folder import list_package_files
from inference_models.package.text_files import read_text
from inference_models.providers.local import LocalProvider
from inference_models.record import Record
from inference_models.registry.wire import MANIFEST_FILE, model_facts, package_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from inference_models.entities import ModelMetadata

MAX_DEPTH = 6
MAX_FOLDERS = 100_000
MAX_COMPARED = 2_000
"""Package folders a misspelt id is compared with."""
Read = TypeVar("Read")
_log = logging.getLogger("inference-models")


class DescribedFolder(Record, frozen=True):
    """A package folder as its small files describe it."""

    folder: str
    """Below the root, with forward slashes."""
    metadata: ModelMetadata
    """The model with this package."""
    manifest: dict[str, Any]
    """The `packageManifest` of the API."""
    stated_id: str | None
    """The `model_id` of its `model_config.json`."""

    @property
    def is_alone(self) -> bool:
        """Whether its place or its name make it a model of its own."""
        path = PurePosixPath(self.folder)
        if len(path.parts) == 1 or self.stated_id == self.folder:
            return True
        return path.name.isdecimal() and self.stated_id != path.parent.as_posix()


class PublishedPackage(Record, frozen=True):
    """A package with its id and files."""

    package_id: str
    described: DescribedFolder
    files: tuple[FileFacts, ...]


class PublishedModel(Record, frozen=True):
    """A model and its packages, sorted by id."""

    model_id: str
    packages: tuple[PublishedPackage, ...]


@dataclass
class _FileHashes:
    lock: threading.Lock = field(default_factory=threading.Lock)
    stamp: tuple[int, ...] = ()
    digest: RunningDigest = field(default_factory=RunningDigest)


class PackageLibrary:
    """Reads the folder on every question, so that what is put there is published at once; hashes a file once."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._hashed: defaultdict[Path, _FileHashes] = defaultdict(_FileHashes)

    def find(self, model_id: str) -> PublishedModel:
        """The model and its packages.

        Raises:
            ModelNotFoundError: there is none of that name, or nothing of it can be published; names the nearest.
        """
        for place in self._places_of(model_id):
            found = self._models_in(place).get(model_id, [])
            read = (self._published(item, is_named=item.folder != model_id) for item in found)
            packages = sorted((item for item in read if item is not None), key=lambda package: package.package_id)
            if packages:
                return PublishedModel(model_id, tuple(packages))
        raise ModelNotFoundError(f"there is no model {model_id[:200]!a} here{self._nearest(model_id)}.")

    def models(self) -> Iterator[PublishedModel]:
        """Every model that can be published, by id."""
        places = {folder.parent for folder in self._walk()}
        for model_id in sorted(name for place in places for name in self._models_in(place)):
            with suppress(ModelNotFoundError):
                yield self.find(model_id)

    def file(self, name: str) -> Path | None:
        """The file of a package at `name` below the root; None when no package has it."""
        path = self.root / name
        if not is_portable_handle(name):
            return None
        package = next((folder for folder in path.parents if folder == self.root or _is_package(folder)), self.root)
        files = self._or_left_out(package, self._files) if package != self.root else None
        return (files or {}).get(path.relative_to(package).as_posix())

    def warm(self) -> int:
        """Hash everything ahead of the first question; the number of packages that can be published."""
        described = (self._described(folder) for folder in self._walk())
        return sum(item is not None and self._published(item, is_named=False) is not None for item in described)

    def count(self) -> int:
        """The number of package folders, sound or not; nothing is read."""
        return sum(1 for _ in self._walk())

    def _places_of(self, model_id: str) -> list[Path]:
        """Folders whose packages may include the model of this id."""
        if not is_portable_handle(model_id):
            return []
        folder = self.root / model_id
        if not (folder.is_dir() and self._is_inside(folder)):
            return []
        return [folder.parent] if _is_package(folder) else [folder]

    def _models_in(self, place: Path) -> dict[str, list[DescribedFolder]]:
        """The packages of one folder by the id of their model; those that cannot be described are left out."""
        children = sorted(child for child in place.iterdir() if is_portable_handle(child.name) and _is_package(child))
        packages = [item for child in children if (item := self._described(child)) is not None]
        joint = [package for package in packages if not package.is_alone]
        if any(model_facts(package.metadata) != model_facts(joint[0].metadata) for package in joint):
            joint = []
        models = {package.folder: [package] for package in packages if package not in joint}
        return {**models, place.relative_to(self.root).as_posix(): joint} if joint else models

    def _described(self, folder: Path) -> DescribedFolder | None:
        return self._or_left_out(folder, self._describe) if self._is_inside(folder) else None

    def _describe(self, folder: Path) -> DescribedFolder:
        metadata, name = LocalProvider().describe(str(folder)), model_config.FILE_NAME
        stated = model_config.parse_model_config(read_text(folder / name, where=name)).model_id
        manifest = package_manifest(folder, metadata.model_packages[0])
        return DescribedFolder(folder.relative_to(self.root).as_posix(), metadata, manifest, stated)

    def _published(self, described: DescribedFolder, *, is_named: bool) -> PublishedPackage | None:
        def publish(folder: Path) -> PublishedPackage:
            present = self._files(folder).items()
            files = tuple(self._facts(name, path) for name, path in present if name != MANIFEST_FILE)
            return PublishedPackage(_package_id(folder.name if is_named else None, files), described, files)

        return self._or_left_out(self.root / described.folder, publish)

    def _or_left_out(self, folder: Path, read: Callable[[Path], Read]) -> Read | None:
        """The result of `read`; None when the package cannot be loaded, with the reason on the log."""
        try:
            return read(folder)
        except (BaseInferenceModelsError, OSError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
            _log.warning("%s is not published: %s", folder.relative_to(self.root).as_posix(), reason)
            return None

    def _is_inside(self, folder: Path) -> bool:
        return folder.resolve().is_relative_to(self.root)

    def _files(self, folder: Path) -> dict[str, Path]:
        """The files of a package, all of which clients accept; none of a package behind a link that leads out.

        Raises:
            CorruptedModelPackageError: there is a name that clients refuse, so that nobody could load the package.
        """
        if not self._is_inside(folder):
            return {}
        files = list_package_files(folder)
        check_handles(files)
        # Addresses hold the whole path, which has to be as portable as the part of it that clients see.
        relative = folder.relative_to(self.root).as_posix()
        check_handles(f"{relative}/{handle}" for handle in files)
        return files

    def _facts(self, handle: str, path: Path) -> FileFacts:
        hashed = self._hashed[path]
        status = path.stat()
        stamp = (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)
        with hashed.lock:
            if hashed.stamp != stamp:
                hashed.digest, hashed.stamp = file_digest(path.resolve(), with_md5=True), stamp
            digest = hashed.digest
        return FileFacts(handle=handle, size=digest.size, sha256=digest.sha256, md5=digest.md5)

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
        known = {name for place in {places[name] for name in alike} for name in self._models_in(place)}
        near = nearest_names(model_id[:200], known)
        return "; nearest: " + ", ".join(repr(name) for name in near) if near else ""


def _is_package(folder: Path) -> bool:
    return (folder / model_config.FILE_NAME).is_file()


def _package_id(name: str | None, files: Sequence[FileFacts]) -> str:
    """The folder's name where that can be an id, else one made of the hashes of its files."""
    if name is not None and name.isascii() and name.isalnum():
        return check_package_id(name)
    text = "\n".join(f"{handle}\0{digest}" for handle, digest in sorted((file.handle, file.sha256) for file in files))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
