"""Private folders for packages that are being written, and removal of those whose process has died."""

from __future__ import annotations

import hashlib
import os
import platform
import time
import uuid
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from inference_models import config
from inference_models.errors import EnvironmentConfigurationError
from inference_models.files.durable import make_folder, remove_tree
from inference_models.machine.system import boot_id, is_running

if TYPE_CHECKING:
    from collections.abc import Iterator

ABANDONED_AFTER_S = 24 * 3600
"""A folder of another machine, or of a process we cannot ask about, is swept when nothing changed in it for so long."""


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """A new folder that only this process writes to. What is left of it at the end is removed."""
    folder = parent / own_name()
    make_folder(folder)
    try:
        yield folder
    finally:
        remove_tree(folder)


def temporary_folder() -> Path:
    """A new folder on the disk of the cache, which has room for models; else where the system keeps such folders.

    Raises:
        EnvironmentConfigurationError: neither takes files.
    """
    folder = config.cache_directory() / "tmp" / own_name()
    try:
        make_folder(folder)
    except OSError as exc:
        import tempfile  # noqa: PLC0415 - only without a cache

        try:
            return Path(tempfile.mkdtemp(prefix="inference-models-"))
        except OSError:
            raise EnvironmentConfigurationError(
                "there is no place for temporary files.",
                needs=f"a folder with room: '{folder.parent}', or TMPDIR",
                found=exc.strerror or type(exc).__name__,
                fix="set INFERENCE_HOME to a folder with room that you may write to",
            ) from exc
    return folder


def sweep(parent: Path) -> None:
    """Remove the private folders of processes that are gone."""
    with suppress(OSError):
        for folder in parent.iterdir():
            if is_abandoned(folder):
                remove_tree(folder)


def own_name() -> str:
    """A new folder name that says which process of which machine it belongs to."""
    return f"{_machine_token()}-{os.getpid()}-{uuid.uuid4().hex}"


def is_abandoned(folder: Path) -> bool:
    """Whether the process that made the folder is gone, or nothing changed in it for a day, whosever it is."""
    if is_of_this_machine(folder) and not is_running(int(folder.name.split("-")[1])):
        return True
    with suppress(OSError):
        return time.time() - _last_change(folder) > ABANDONED_AFTER_S
    return False


def is_of_this_machine(folder: Path) -> bool:
    """Whether the process that made the folder is one whose life this process can ask about."""
    token, _, rest = folder.name.partition("-")
    return token == _machine_token() and rest.partition("-")[0].isdecimal()


def _last_change(folder: Path) -> float:
    paths = [folder, *folder.rglob("*")]
    return max(os.lstat(path).st_mtime for path in paths)


@cache
def _machine_token() -> str:
    """Tells apart the machines, boots and process namespaces that may share a cache folder: a pid means one of them.

    So a pid that is used again after a reboot is not taken for the process that had it before.
    """
    facts = [platform.node(), boot_id()]
    with suppress(OSError):
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.blake2s("\0".join(facts).encode(), digest_size=6).hexdigest()
