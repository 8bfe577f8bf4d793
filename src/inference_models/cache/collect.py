"""Removes what no package needs."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from inference_models.cache.inventory import certificates_of, package_folders, remove_folder, stamps_path
from inference_models.cache.locks import is_held
from inference_models.cache.manifest import Damage, not_listed, read_manifest
from inference_models.cache.partial import free_partials
from inference_models.cache.workspace import is_abandoned, sweep
from inference_models.files.durable import remove_tree
from inference_models.files.regular import is_link, read_regular_file
from inference_models.record import Record

if TYPE_CHECKING:
    from inference_models.cache.inventory import Inventory


class CollectionReport(Record, frozen=True):
    """Counts and bytes of what was removed."""

    packages: int = 0
    """Complete packages, to make room."""
    orphans: int = 0
    """Package folders that were never completed, and files that belong to no package."""
    partials: int = 0
    """Downloads that no process works on."""
    quarantined: int = 0
    freed: int = 0
    """Bytes."""
    skipped: tuple[Path, ...] = ()
    """What stays because another process holds it open or loads it: the next time takes it."""


@dataclass
class _Remover:
    """Removes files and folders, and counts them."""

    freed: int = 0
    removed: dict[str, int] = field(default_factory=dict)
    skipped: list[Path] = field(default_factory=list)

    def take(self, place: Path, kind: str) -> None:
        size = _size(place)
        with suppress(OSError):
            if place.is_dir() and not is_link(place):
                remove_tree(place)
            else:
                place.unlink()
        if os.path.lexists(place):
            self.skipped.append(place)
        else:
            self.freed += size
            self.removed[kind] = self.removed.get(kind, 0) + 1


def collect(inventory: Inventory, quota: int | None) -> CollectionReport:
    """Remove broken downloads, quarantine, orphans and hints that lead nowhere; then packages beyond `quota` bytes."""
    found, root = _Remover(), inventory.root
    for place in _entries(root / "quarantine"):
        found.take(place, "quarantined")
    busy = _folders_in_work(root)
    for folder in list(package_folders(root)):
        if folder not in busy:
            _collect_orphans(folder, found)
    for blob in _entries(root / "partials"):
        _collect_partials(blob, found)
    sweep(root / "tmp")
    for place in (root / "tmp").glob("removed-*"):
        remove_tree(place)
    removed = _make_room(inventory, quota, busy, found) if quota is not None else 0
    _collect_hints(root)
    counts = {kind: found.removed.get(kind, 0) for kind in ("orphans", "partials", "quarantined")}
    return CollectionReport(packages=removed, freed=found.freed, skipped=tuple(found.skipped), **counts)


def _folders_in_work(root: Path) -> set[Path]:
    """The package folders that a living process is filling."""
    busy = set()
    for desk in _entries(root / "tmp"):
        if not is_abandoned(desk):
            with suppress(OSError, ValueError):
                busy.add(root / read_regular_file(desk / "package").decode())
    return busy


def _collect_orphans(folder: Path, found: _Remover) -> None:
    manifest = read_manifest(folder)
    if isinstance(manifest, Damage):
        found.take(folder, "orphans")
        with suppress(OSError):
            folder.parent.rmdir()
        return
    for handle in not_listed(folder, manifest):
        found.take(folder / handle, "orphans")


def _collect_partials(blob: Path, found: _Remover) -> None:
    # Whether the lock is held does not matter: locks may do nothing here.
    for place in free_partials(blob):
        found.take(place, "partials")
    with suppress(OSError):
        blob.rmdir()


def _make_room(inventory: Inventory, quota: int, busy: set[Path], found: _Remover) -> int:
    stored = inventory.packages()
    total, removed = sum(package.size for package in stored), 0
    for package in reversed(stored):
        if total <= quota:
            break
        if package.pinned or package.folder in busy:
            continue
        try:
            gone = remove_folder(inventory.root, package.folder, unless_held=True)
        except PermissionError:
            found.skipped.append(package.folder)
            continue
        if gone:
            total, found.freed, removed = total - package.size, found.freed + package.size, removed + 1
    return removed


def _collect_hints(root: Path) -> None:
    wanted = {stamps_path(root, folder) for folder in package_folders(root)}
    for path in (root / "stamps").glob("*/*"):
        if path not in wanted:
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()
    folders = list(package_folders(root))
    kept = {path for folder in folders for path in certificates_of(root, folder)}
    for path in (root / "parity").glob("*/*"):
        # Those of files outside the cache are no orphans: where the files are is not known.
        if path not in kept and path.parent.name != "local":
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()
    for lock in _entries(root / "locks"):
        if not is_held(lock):
            with suppress(OSError):
                lock.unlink()


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _size(place: Path) -> int:
    with suppress(OSError):
        if is_link(place) or not place.is_dir():
            return os.lstat(place).st_size
    total = 0
    for where, _, files in os.walk(place):
        for name in files:
            with suppress(OSError):
                total += os.lstat(Path(where) / name).st_size
    return total
