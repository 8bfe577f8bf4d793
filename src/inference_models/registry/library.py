"""A folder of packages: which models it holds, and what each file hashes to.

`<root>/<id>/` is a model with one package when it holds `model_config.json`; else every folder in it that does is a
package of it. An id may have several parts, such as `team/project/3`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inference_models.cache.digest import CHUNK
from inference_models.cache.names import check_handles, is_portable_handle
from inference_models.errors import BaseInferenceModelsError, ModelNotFoundError
from inference_models.naming import nearest_names
from inference_models.package import model_config
from inference_models.package.folder import list_package_files
from inference_models.registry.publish import MANIFEST_FILE, describe_folder, published_package_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_DEPTH = 6
MAX_FOLDERS = 100_000
MAX_COMPARED = 2_000
"""Ids a misspelt one is compared with."""
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
        folder = self._folder(model_id)
        packages = [] if folder is None else self._packages(folder)
        if not packages:
            raise ModelNotFoundError(f"there is no model {model_id[:200]!a} here{self._nearest(model_id)}.")
        first = packages[0].model
        if any(package.model != first for package in packages):
            # Folders that lie side by side by accident, such as versions of a project, are not one model.
            raise ModelNotFoundError(f"{model_id!r} holds packages of different models{self._nearest(model_id)}.")
        return PublishedModel(model_id, first, tuple(sorted(packages, key=lambda package: package.package_id)))

    def model_ids(self) -> list[str]:
        """Every id that may be asked for, sorted."""
        ids: set[str] = set()
        for folder in self._walk():
            relative = folder.relative_to(self.root)
            ids |= {part.as_posix() for part in (relative, relative.parent) if part.parts}
        return sorted(ids)

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
        return sum(len(self._read(folder, named=False)) for folder in self._walk())

    def _folder(self, model_id: str) -> Path | None:
        if not is_portable_handle(model_id):
            return None
        folder = self.root / model_id
        inside = folder.is_dir() and folder.resolve().is_relative_to(self.root)
        return folder if inside else None

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

    def _packages(self, folder: Path) -> list[PublishedPackage]:
        if _is_package(folder):
            return self._read(folder, named=False)
        return [package for child in _package_folders(folder) for package in self._read(child, named=True)]

    def _read(self, folder: Path, *, named: bool) -> list[PublishedPackage]:
        """The package in `folder`, or nothing, with the reason on the log."""
        relative = folder.relative_to(self.root).as_posix()
        try:
            model, entry = describe_folder(folder)
            inside = folder.resolve().is_relative_to(self.root)
            present = self._listed(folder) if inside else {}
            files = tuple(self._published(name, path) for name, path in present.items() if name != MANIFEST_FILE)
        except BaseInferenceModelsError as exc:
            _log.warning("%s is not published: %s", relative, exc)
            return []
        except OSError as exc:
            _log.warning("%s is not published: %s", relative, exc.strerror)
            return []
        package_id = published_package_id(
            folder.name if named else None, [(file.handle, file.sha256) for file in files]
        )
        return [PublishedPackage(package_id, relative, model, entry, files)]

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
        near = nearest_names(model_id[:200], self.model_ids()[:MAX_COMPARED])
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
