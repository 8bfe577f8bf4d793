"""What an import would find, without importing it: folders on the path can hide what is installed behind them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class FoundModule:
    """A module or package as it lies on the disk."""

    file: str
    """What runs when it is imported; the folder, where that has no `__init__.py`."""
    modified: int
    """ns since the epoch."""
    size: int

    @property
    def place(self) -> str:
        """What would have to go for the import to find another: the folder of a package, the file of a module."""
        folder, name = os.path.split(self.file)
        return folder if name.startswith("__init__.") else self.file

    def stamp(self) -> tuple[str, int, int]:
        """Changes when an import would find something else."""
        return self.file, self.modified, self.size


def find_module(module: str, path: Sequence[str]) -> FoundModule | None:
    """What the top package of a module is imported from; None where the import would find nothing.

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
        return FoundModule(file, 0, 0)
    return FoundModule(file, status.st_mtime_ns, status.st_size)


def hiding(module: str, path: Sequence[str], location: str) -> str | None:
    """What is imported in place of the module that lies in a folder; None when it is that one, or none lies there.

    Args:
        module: Its name.
        path: Folders, in the order of imports.
        location: The folder in which it was installed.
    """
    found, own = find_module(module, path), find_module(module, [location])
    if found is None or own is None or os.path.realpath(found.file) == os.path.realpath(own.file):
        return None
    return found.place
