"""Which libraries are installed, from the folders that installers leave beside them. Nothing is imported."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from inference_models.machine.system_files import public_version, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.version import Version


@dataclass(frozen=True)
class Library:
    """A library whose presence decides what can run."""

    name: str
    """As `Environment.installed` and `Environment.broken` name it."""
    module: str
    """What is imported."""
    distributions: tuple[str, ...]
    """Names under which it is installed, the usual one first."""
    deadline: float | None = None
    """Seconds its import may take in a child process; None: importing it is harmless, and nobody tries."""
    attribute: str | None = None
    """What the module must have: a half uninstalled library can still be imported."""


_METADATA = re.compile(r"(?P<name>.+?)(?:-(?P<version>[^-]+))?(?:-py\d.*)?\.(?:dist|egg)-info", re.IGNORECASE)
_VERSION = re.compile(r"^Version:\s*(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Distribution:
    """Something an installer put on the import path."""

    name: str
    """In lower case with hyphens."""
    version: str
    metadata: Path
    """Folder, for example `.../onnxruntime-1.23.0.dist-info`."""

    @property
    def location(self) -> Path:
        """The folder its packages are imported from."""
        return self.metadata.parent

    @property
    def label(self) -> str:
        """For example `onnxruntime-gpu 1.23.0`."""
        return f"{self.name} {self.version}"

    def stamp(self) -> tuple[int, int]:
        """Changes when the same version is installed again: time in ns and size of its list of files."""
        for name in ("RECORD", "METADATA", "PKG-INFO"):
            try:
                status = (self.metadata / name).stat()
            except OSError:
                continue
            return status.st_mtime_ns, status.st_size
        return 0, 0


def import_path() -> tuple[str, ...]:
    """The folders of `sys.path`, those that are relative to the working directory as it is now."""
    entries = [entry for entry in sys.path if isinstance(entry, str)]
    if all(map(os.path.isabs, entries)):
        return tuple(entries)
    try:
        here = os.getcwd()  # noqa: PTH109 - done at every load
    except OSError:  # it was removed, and imports pass over it
        return tuple(filter(os.path.isabs, entries))
    # Not `abspath`: it takes `..` away, which is wrong behind a link.
    return tuple(os.path.join(here, entry) if entry else here for entry in entries)  # noqa: PTH118


def path_stamp(path: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Changes when something is installed into a folder of `path`, or removed from it."""
    return tuple((entry, _modified(entry)) for entry in path)


def installed_distributions(path: Sequence[str] | None = None) -> Mapping[str, Distribution]:
    """What is installed, by name; of two with one name the one that is imported.

    Args:
        path: Folders to look into, in the order of imports; None: those of this process.
    """
    return _scanned(path_stamp(import_path() if path is None else path))


def find_library(library: Library, path: Sequence[str] | None = None) -> Distribution | None:
    """The distribution that provides a library; None when it is not installed."""
    installed = installed_distributions(path)
    return next((installed[name] for name in library.distributions if name in installed), None)


def installed_libraries(libraries: Iterable[Library], path: Sequence[str] | None = None) -> dict[Library, Distribution]:
    """Those of `libraries` that are installed, with the distribution that provides each."""
    found = ((library, find_library(library, path)) for library in libraries)
    return {library: distribution for library, distribution in found if distribution is not None}


def version_of(distribution: Distribution) -> Version | None:
    """Its version without what stands behind `+`."""
    return public_version(distribution.version)


@lru_cache(maxsize=8)
def _scanned(stamps: tuple[tuple[str, int], ...]) -> Mapping[str, Distribution]:
    found: dict[str, Distribution] = {}
    for entry, modified in stamps:
        for distribution in _in_folder(entry, modified):
            found.setdefault(distribution.name, distribution)
    return found


@lru_cache(maxsize=64)
def _in_folder(folder: str, _modified: int) -> Sequence[Distribution]:
    """Kept by folder: the working directory may be one, and changes more often than those of installers."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - paths of thousands of files are not needed
    except OSError:
        return []
    parsed = (_parsed(Path(folder, name), name) for name in names if name.endswith(("-info", "-INFO")))
    return [distribution for distribution in parsed if distribution is not None]


def _parsed(metadata: Path, file_name: str) -> Distribution | None:
    """None for what an interrupted installation left behind."""
    found = _METADATA.fullmatch(file_name)
    if found is None or file_name.startswith(("~", "-")):
        return None
    version = found["version"] or _stated_version(metadata)
    if version is None or not _is_complete(metadata):
        return None
    return Distribution(re.sub(r"[-_.]+", "-", found["name"]).lower(), version.replace("_", "+"), metadata)


def _is_complete(metadata: Path) -> bool:
    return metadata.is_file() or (metadata / "METADATA").is_file() or (metadata / "PKG-INFO").is_file()


def _stated_version(metadata: Path) -> str | None:
    found = _VERSION.search(read_text(metadata if metadata.is_file() else metadata / "PKG-INFO"))
    return found[1] if found else None


def _modified(entry: str) -> int:
    try:
        return os.stat(entry).st_mtime_ns  # noqa: PTH116 - called for every folder of the import path at every load
    except OSError:
        return -1
