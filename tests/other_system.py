"""A plugin of pytest that plays another system as far as this one can: `-p other_system --other-system windows`.

`scripts/test-other-systems` runs the rooms with it that touch files, locks and processes.

* `windows`: what is open or mapped here cannot be moved or removed, a fresh file is held by a scanner for a moment,
  there is no `fcntl`, no `killpg`, no `/proc`, no link.
* `exfat`: a disk without locks, links and change times, as macOS mounts it; no `/proc` either.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import filelock  # noqa: F401 - takes its locks from fcntl here, and from msvcrt there
import pytest

_open = io.open


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--other-system", choices=("windows", "exfat"), required=True)


@pytest.fixture(autouse=True)
def _other_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    {"windows": _windows, "exfat": _exfat}[request.config.getoption("--other-system")](monkeypatch)


def _windows(patch: pytest.MonkeyPatch) -> None:
    _without_proc(patch)
    _without_links(patch)
    patch.setitem(sys.modules, "fcntl", None)
    patch.delattr(os, "killpg")
    for owner, name in ((os, "rename"), (os, "replace"), (os, "unlink"), (os, "remove"), (os, "rmdir")):
        patch.setattr(owner, name, _refusing_what_is_open(getattr(owner, name)))
    for name in ("rename", "replace", "unlink", "rmdir"):
        patch.setattr(Path, name, _refusing_what_is_open(getattr(Path, name)))
    patch.setattr(Path, "replace", _scanned_at_first(Path.replace))
    patch.setattr(shutil, "rmtree", _refusing_what_is_open(shutil.rmtree))


def _exfat(patch: pytest.MonkeyPatch) -> None:
    import fcntl

    def no_locks(*_: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    _without_proc(patch)
    _without_links(patch)
    patch.setattr(fcntl, "flock", no_locks)
    for name in ("lstat", "stat", "fstat"):
        patch.setattr(os, name, _without_change_time(getattr(os, name)))


def _without_proc(patch: pytest.MonkeyPatch) -> None:
    def hidden(path: Any, *arguments: Any, **options: Any) -> Any:
        if str(path).startswith("/proc/"):
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
        return _open(path, *arguments, **options)

    patch.setattr(io, "open", hidden)


def _without_links(patch: pytest.MonkeyPatch) -> None:
    def refused(source: Any, target: Any, **_: Any) -> None:
        raise PermissionError(errno.EPERM, "A required privilege is not held", str(target))

    patch.setattr(os, "link", refused)


def _refusing_what_is_open(original: Any) -> Any:
    def guarded(path: Any, *arguments: Any, **options: Any) -> Any:
        if options.get("dir_fd") is None and _is_open(Path(path)):
            if options.get("ignore_errors"):
                return None
            raise PermissionError(errno.EACCES, "The process cannot access the file", str(path))
        return original(path, *arguments, **options)

    return guarded


def _is_open(path: Path) -> bool:
    """Whether this process has the file open or mapped, or one below the folder."""
    place = f"{path.parent.resolve()}/{path.name}"
    return any(held == place or held.startswith(f"{place}/") for held in _held_files())


def _held_files() -> list[str]:
    held = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            held.append(str(descriptor.readlink()))
    with _open("/proc/self/maps", encoding="utf-8") as maps:
        fields = [line.split(None, 5) for line in maps]
    held += [each[5].strip() for each in fields if len(each) == 6]
    return [item for item in held if Path(item).is_file()]


def _scanned_at_first(original: Any) -> Any:
    met: set[str] = set()

    def scanned(source: Path, target: Any) -> Any:
        if str(target) not in met:
            met.add(str(target))
            raise PermissionError(errno.EACCES, "Access is denied", str(source))
        return original(source, target)

    return scanned


def _without_change_time(original: Any) -> Any:
    def seen(path: Any, **options: Any) -> Any:
        status = original(path, **options)
        return _Status(status) if stat.S_ISREG(status.st_mode) else status

    return seen


class _Status:
    """A status whose change time is the modification time, which any program can set."""

    def __init__(self, status: os.stat_result) -> None:
        self._status = status

    def __getattr__(self, name: str) -> Any:
        return getattr(self._status, name.replace("ctime", "mtime"))

    def __getitem__(self, index: int) -> Any:
        return self._status[index]

    def __iter__(self) -> Any:
        return iter(self._status)
