"""What a file looked like when its whole content was last hashed: as long as it looks the same, it is not hashed again.

A stamp holds for one boot of one machine. After a reboot, which may follow a power cut, every file is hashed once more.
It says something only where a change of the file moves a time that no program can set: stamps are written down on file
systems that keep such a time, and on Windows and exFAT every process hashes for itself.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inference_models.files.durable import write_hint
from inference_models.files.regular import read_json_object
from inference_models.machine.system import boot_id

if TYPE_CHECKING:
    from pathlib import Path

_TICK_S = 0.02
"""The times of a file are counted in steps of up to 10 ms."""
_seen_here: dict[Path, dict[str, list[int | str]]] = {}
"""Stamps of this process, by package folder: all there is where the cache folder cannot be written."""


@dataclass
class Stamps:
    """The stamps of one package, by handle."""

    path: Path
    folder: Path
    known: dict[str, list[int | str]] = field(default_factory=dict)
    changed: bool = False

    @classmethod
    def read(cls, path: Path, folder: Path) -> Stamps:
        """The stamps of the package in `folder`; none when they are missing, damaged, or of another boot."""
        return cls(path, folder, {**_read(path), **_seen_here.get(folder, {})})

    def holds(self, handle: str, status: os.stat_result, sha256: str) -> bool:
        """Whether the file was hashed as it is now, with this result."""
        return self.known.get(handle) == _stamp(status, sha256)

    def add(self, handle: str, status: os.stat_result, sha256: str) -> None:
        """Remember that a file of this status was hashed, with this result."""
        self.known[handle] = _stamp(status, sha256)
        self.changed = True
        if os.name != "nt":
            _seen_here.setdefault(self.folder, {})[handle] = self.known[handle]

    def save(self) -> None:
        """Write the stamps down when they changed, the cache may be written, and its change times can be trusted."""
        if not self.changed or not boot_id() or not _writable(self.path.parent):
            return
        self.changed = False
        write_hint(self.path, json.dumps({"boot": boot_id(), "files": self.known}).encode())
        if not _moves_when_changed(self.path):
            _seen_here.pop(self.folder, None)
            with suppress(OSError):
                self.path.unlink()


def _stamp(status: os.stat_result, sha256: str) -> list[int | str]:
    """Inode, size and times of a file, which change when it is written to."""
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, sha256]


def _read(path: Path) -> dict[str, list[int | str]]:
    """Stamps of this boot; what is damaged is equal to no stamp."""
    with suppress(OSError, ValueError):
        content = read_json_object(path)
        files = content.get("files")
        if isinstance(files, dict) and boot_id() and content.get("boot") == boot_id():
            return files
    return {}


def _moves_when_changed(path: Path) -> bool:
    """Whether the change time moves with each change and is no copy of the time that programs can set."""
    with suppress(OSError):
        before = os.lstat(path)
        time.sleep(_TICK_S)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns - 10**9))
        after = os.lstat(path)
        return after.st_ctime_ns > before.st_ctime_ns and after.st_ctime_ns != after.st_mtime_ns
    return False


def _writable(folder: Path) -> bool:
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)
