"""Private folders for packages that are being written, and removal of those whose process has died."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import time
import uuid
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from inference_models.files.durable import make_private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

ABANDONED_AFTER_S = 24 * 3600
"""A folder of another machine, or of a process we cannot ask about, is swept when nothing changed in it for so long."""


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """A new folder that only this process writes to. What is left of it at the end is removed."""
    folder = parent / own_name()
    make_private_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Remove the private folders of processes that are gone."""
    with suppress(OSError):
        for folder in parent.iterdir():
            if is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def own_name() -> str:
    """A new folder name that says which process of which machine it belongs to."""
    return f"{_machine_token()}-{os.getpid()}-{uuid.uuid4().hex}"


def is_abandoned(folder: Path) -> bool:
    """Whether the process that made the folder is gone; for those of other machines, whether nothing changes in it."""
    if is_of_this_machine(folder):
        return not _is_running(int(folder.name.split("-")[1]))
    with suppress(OSError):
        return time.time() - _last_change(folder) > ABANDONED_AFTER_S
    return False


def is_of_this_machine(folder: Path) -> bool:
    """Whether the process that made the folder is one whose life this process can ask about."""
    token, _, rest = folder.name.partition("-")
    return token == _machine_token() and rest.partition("-")[0].isdecimal() and os.name != "nt"


def _last_change(folder: Path) -> float:
    paths = [folder, *folder.rglob("*")]
    return max(os.lstat(path).st_mtime for path in paths)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@cache
def _machine_token() -> str:
    """Tells apart the machines, boots and process namespaces that may share a cache folder: a pid means one of them."""
    facts = [platform.node(), _first_line("/proc/sys/kernel/random/boot_id")]
    with suppress(OSError):
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.blake2s("\0".join(facts).encode(), digest_size=6).hexdigest()


def _first_line(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text("utf-8").partition("\n")[0]
    return ""
