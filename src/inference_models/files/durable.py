"""Writing that survives a crash: files and folders that are on the disk before they are announced."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from inference_models.errors import EnvironmentConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
MAX_BYTES = 16 << 20
_TRIES = 1000
"""Attempts when another process removes the folder at the same time."""
_OTHER_FOLDER = "set INFERENCE_HOME to a folder with room that you may write to"


def make_private_folder(path: Path) -> None:
    """Create `path` and missing parents, readable by this user only. Folders that exist keep their mode."""
    lost: OSError | None = None
    for _ in range(_TRIES):
        if path.is_dir():
            return
        make_private_folder(path.parent)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError as exc:
            if os.path.lexists(path) and not path.is_dir():
                raise
            lost = exc
        except FileNotFoundError as exc:
            lost = exc  # another process removed the parent meanwhile; or the file system takes no folders
    if lost is not None:
        raise lost


def write_file(path: Path, data: bytes) -> None:
    """Write a new file and wait until the disk has it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Put `data` at `path` in one step: readers see the old file or the new one, whole.

    Args:
        path: In a folder that exists.
        data: The content.
        durable: Wait until the disk has it; not needed for what is only a hint.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def write_hint(path: Path, data: bytes) -> None:
    """Put `data` at `path` when that is possible: for files whose loss costs time and nothing else."""
    with suppress(OSError):
        make_private_folder(path.parent)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        write_atomic(path, data, durable=False)


def read_regular_file(path: Path) -> bytes:
    """The first `MAX_BYTES` of a file that is neither a link nor a folder nor a pipe.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is something else.
    """
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise ValueError("it is not a regular file")
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES)


def put_aside_folder(path: Path) -> None:
    """A folder in the place of a file cannot be replaced by one, so it is renamed."""
    if path.is_dir() and not path.is_symlink():
        path.rename(path.with_name(f"{path.name}.{os.urandom(8).hex()}.damaged"))


def sync_folder(path: Path) -> None:
    """Wait until the disk has the names in a folder."""
    if os.name == "nt":  # Windows cannot open a folder for this, and orders renames itself.
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_when_full(root: Path, needed: int) -> None:
    """Raise before anything is written when `needed` bytes do not fit.

    Raises:
        EnvironmentConfigurationError: states needed and free bytes.
    """
    free = shutil.disk_usage(root).free
    if needed > free:
        raise EnvironmentConfigurationError(
            f"the package does not fit into the cache folder '{root}'.",
            needs=f"{needed} bytes",
            found=f"{free} bytes free",
            fix=_OTHER_FOLDER,
        )


@contextmanager
def disk_errors_named(root: Path, *, needed: int) -> Iterator[None]:
    """Translate a full disk and missing rights into errors that say what to do.

    Raises:
        EnvironmentConfigurationError: instead of `OSError`.
    """
    try:
        yield
    except OSError as exc:
        if isinstance(exc, (ConnectionError, TimeoutError)):
            raise  # of the source that is being read, not of the disk
        if exc.errno in _FULL:
            needs, found = f"{needed} bytes", f"{_free(root)} bytes free"
        else:
            needs, found = "a folder this process may write to", exc.strerror or type(exc).__name__
        raise EnvironmentConfigurationError(
            f"the package cannot be stored in the cache folder '{root}'.", needs=needs, found=found, fix=_OTHER_FOLDER
        ) from exc


def _free(root: Path) -> int:
    while not root.exists() and root != root.parent:
        root = root.parent
    return shutil.disk_usage(root).free
