"""What a file looked like when its whole content was last hashed: as long as it looks the same, it is not hashed again.

A stamp holds for one boot of one machine. After a reboot, which may follow a power cut, every file is hashed once more.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from inference_models.files.durable import write_hint

MAX_STAMPS_BYTES = 8 << 20
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
        self.known[handle] = _seen_here.setdefault(self.folder, {})[handle] = _stamp(status, sha256)
        self.changed = True

    def save(self) -> None:
        """Write the stamps down when they changed and the cache may be written; nothing is tried where it may not."""
        if not self.changed or not boot_id() or not _writable(self.path.parent):
            return
        self.changed = False
        write_hint(self.path, json.dumps({"boot": boot_id(), "files": self.known}).encode())


@cache
def boot_id() -> str:
    """A name for the time since this machine was started; empty where the system does not say."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    return ""


def _stamp(status: os.stat_result, sha256: str) -> list[int | str]:
    """Inode, size and times of a file, which change when it is written to."""
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, sha256]


def _read(path: Path) -> dict[str, list[int | str]]:
    """Stamps of this boot; what is damaged is equal to no stamp."""
    try:
        with path.open("rb") as stream:
            content = json.loads(stream.read(MAX_STAMPS_BYTES))
        return dict(content["files"]) if boot_id() and content["boot"] == boot_id() else {}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}


def _writable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)
