"""Which libraries and plug-ins are installed, and what an import of them would find: read from folders."""

from __future__ import annotations

import importlib
import os
import re
import sys
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference_models.machine.hardware import public_version, read_text
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.version import Version


class Library(Record, frozen=True):
    """A library whose presence decides what can run."""

    name: str
    """As `Environment.installed` and `Environment.broken` name it."""
    module: str
    """What is imported."""
    distributions: tuple[str, ...]
    """Names under which it is installed, the usual one first."""
    deadline: float | None = None
    """Seconds its import may take in a child process; None: importing it is harmless and not tried."""
    attribute: str | None = None
    """What the module must have: a half uninstalled library can still be imported."""


class Distribution(Record, frozen=True):
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

    def stamp(self) -> tuple[str, int, int]:
        """Changes when the same version is installed again: the folder, time in ns and size of its list of files."""
        for name in ("RECORD", "METADATA", "PKG-INFO"):
            try:
                status = (self.metadata / name).stat()
            except OSError:
                continue
            return str(self.metadata), status.st_mtime_ns, status.st_size
        return str(self.metadata), 0, 0


class EntryPoint(Record, frozen=True):
    """One plug-in of a group."""

    name: str
    value: str
    """`package.module` or `package.module:attribute`."""

    def load(self) -> Any:
        """What it names; whatever importing it raises is raised here."""
        module, _, attribute = self.value.partition(":")
        found = importlib.import_module(module)
        return getattr(found, attribute) if attribute else found


DECIDING = (
    "CUDA_DEVICE_ORDER",
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDA_VISIBLE_DEVICES",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "GLIBC_TUNABLES",
    "INTEL_OPENVINO_DIR",
    "KMP_DUPLICATE_LIB_OK",
    "LD_BIND_NOW",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_VISIBLE_DEVICES",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    *(("PATH",) if sys.platform == "win32" else ()),
)
"""Variables that decide which files are loaded, which devices are seen, and whether an import survives."""
CUDA = "cuda"
"""The name of the NVIDIA driver among the libraries."""
SHELL = "it has no {!r}: files of it are missing"
"""The problem of a library that lacks the attribute it is used for."""
# `importlib.metadata` does the same in ten times the time: it is imported, and then reads and parses every METADATA.
_METADATA = re.compile(r"(?P<name>.+?)(?:-(?P<version>[^-]+))?(?:-py\d.*)?\.(?:dist|egg)-info", re.IGNORECASE)
_VERSION = re.compile(r"^Version:\s*(\S+)", re.MULTILINE)


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
    stamps = []
    for entry in path:
        try:
            stamps.append((entry, os.stat(entry).st_mtime_ns))  # noqa: PTH116 - done at every load
        except OSError:
            stamps.append((entry, -1))
    return tuple(stamps)


def installed_distributions(path: Sequence[str] | None = None) -> dict[str, Distribution]:
    """What is installed, by name; of two with one name the one that is imported.

    Args:
        path: Folders to look into, in the order of imports; None: those of this process.
    """
    listed = _listed(path_stamp(import_path() if path is None else path))
    found = ((name, _first_complete(name, places)) for name, places in listed.items())
    return {name: distribution for name, distribution in found if distribution is not None}


def entry_points(group: str) -> Iterator[EntryPoint]:
    """The entry points of a group. As `importlib.metadata` gives them, without the time that its import takes."""
    mark = f"[{group}]".encode()
    for places in _listed(path_stamp(import_path())).values():
        for metadata, _ in places:  # in the order of imports
            try:
                with open(f"{metadata}/entry_points.txt", "rb") as file:  # noqa: PTH123 - a path object takes longer
                    content = file.read()
            except OSError:
                continue
            if content:
                if mark in content:  # hardly ever, where there are hundreds of them
                    yield from _parse_entry_points(content.decode("utf-8", "replace"), group)
                break


def _parse_entry_points(text: str, group: str) -> Iterator[EntryPoint]:
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == group and "=" in line:
            name, _, value = line.partition("=")
            yield EntryPoint(name.strip(), value.partition("[")[0].strip())


def find_library(library: Library, path: Sequence[str] | None = None) -> Distribution | None:
    """The distribution that provides a library; None when it is not installed."""
    return installed_libraries((library,), path).get(library)


def installed_libraries(libraries: Iterable[Library], path: Sequence[str] | None = None) -> dict[Library, Distribution]:
    """Those of `libraries` that are installed, with the distribution that provides each."""
    listed = _listed(path_stamp(import_path() if path is None else path))
    found: dict[Library, Distribution] = {}
    for library in libraries:
        for name in library.distributions:
            distribution = _first_complete(name, listed[name]) if name in listed else None
            if distribution is not None:
                found[library] = distribution
                break
    return found


def version_of(distribution: Distribution) -> Version | None:
    """Its version without what stands behind `+`."""
    return public_version(distribution.version)


def module_stamp(module: str, path: Sequence[str]) -> tuple[str, int, int] | None:
    """The file that an import of the top package of a module would run, its time in ns and its size.

    A package without `__init__.py` is its folder. None where the import would find nothing.

    Args:
        module: For example `ai_edge_litert.interpreter`.
        path: Folders, in the order of imports.
    """
    found = PathFinder.find_spec(module.partition(".")[0], list(path))
    if found is None:
        return None
    file = found.origin or next(iter(found.submodule_search_locations or ()), "")
    try:
        status = os.stat(file)  # noqa: PTH116 - done at every load
    except OSError:  # inside an archive
        return file, 0, 0
    return file, status.st_mtime_ns, status.st_size


def hiding(module: str, path: Sequence[str], location: str) -> str | None:
    """The file or folder that is imported in place of the module in `location`; None when it is that one.

    Args:
        module: Its name.
        path: Folders, in the order of imports.
        location: The folder in which it was installed; None is returned where it does not lie there.
    """
    found, own = module_stamp(module, path), module_stamp(module, [location])
    if found is None or own is None or os.path.realpath(found[0]) == os.path.realpath(own[0]):
        return None
    folder, name = os.path.split(found[0])
    return folder if name.startswith("__init__.") else found[0]


@lru_cache(maxsize=8)
def _listed(stamps: tuple[tuple[str, int], ...]) -> Mapping[str, list[tuple[Path, str | None]]]:
    """By name of a distribution: its metadata with the version, as far as the name of the folder says."""
    found: dict[str, list[tuple[Path, str | None]]] = {}
    for folder, _ in stamps:
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208 - paths of thousands of files are not needed
        except OSError:
            continue
        for file in names:
            stated = _METADATA.fullmatch(file) if file.endswith(("-info", "-INFO")) else None
            if stated is not None and not file.startswith(("~", "-")):  # what an interrupted installation leaves
                name = re.sub(r"[-_.]+", "-", stated["name"]).lower()
                found.setdefault(name, []).append((Path(folder, file), stated["version"]))
    return found


def _first_complete(name: str, places: Iterable[tuple[Path, str | None]]) -> Distribution | None:
    """The first that is not what an interrupted installation left behind."""
    for metadata, stated in places:
        parts = (metadata, metadata / "METADATA", metadata / "PKG-INFO")
        if not any(part.is_file() for part in parts):
            continue
        version = stated
        if version is None:
            found = _VERSION.search(read_text(metadata if metadata.is_file() else metadata / "PKG-INFO"))
            version = found[1] if found else None
        if version is not None:
            return Distribution(name, version.replace("_", "+"), metadata)
    return None
