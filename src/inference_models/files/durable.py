"""Writing that survives a crash: files and folders that are on the disk before they are announced."""

from __future__ import annotations

import errno
import os
import sys
import time
import uuid
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from inference_models.errors import EnvironmentConfigurationError
from inference_models.files.regular import is_link

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_TRIES = 1000
"""Attempts when another process removes the folder at the same time."""
_MOVE_S = 2.0
"""A virus scanner or an indexer may hold a fresh file open for so long; Windows moves no file that is open."""
_OTHER_FOLDER = "set INFERENCE_HOME to a folder with room that you may write to"


def make_folder(path: Path) -> None:
    """Create `path` and missing parents, as the umask says. Folders that exist keep their mode."""
    lost: OSError | None = None
    for _ in range(_TRIES):
        if os.path.isdir(path):  # noqa: PTH112 - the method raises below a folder this user may not look into
            return
        make_folder(path.parent)
        try:
            path.mkdir()
        except FileExistsError as exc:
            if os.path.lexists(path) and not path.is_dir():
                raise
            lost = exc
        except FileNotFoundError as exc:
            lost = exc  # another process removed the parent meanwhile; or the file system takes no folders
    if lost is not None:
        raise lost


def move(source: Path, target: Path) -> None:
    """Rename a file or folder; a file that is there is replaced. A denial is waited for where rights do not explain it.

    Raises:
        OSError: it cannot be moved; `PermissionError` after two seconds where another process holds it open.
    """
    until, pause = time.monotonic() + _MOVE_S, 0.01
    while True:
        try:
            source.replace(target)
        except PermissionError:
            folders = {source.parent, target.parent}
            lasting = target.is_dir() or not all(os.access(folder, os.W_OK) for folder in folders)
            if lasting or time.monotonic() + pause > until:
                raise
            time.sleep(pause)
            pause *= 2
        else:
            return


def write_file(path: Path, data: bytes) -> None:
    """Write a new file and wait until the disk has it."""
    make_folder(path.parent)
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        sync(stream.fileno())


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """A stream whose content is at `path` after the block: readers see the old file or the new one, whole.

    Args:
        path: In a folder that exists.
        durable: Wait until the disk has it; not needed for what is only a hint.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            if durable:
                sync(stream.fileno())
        move(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Put `data` at `path` in one step, as `replacing` does."""
    with replacing(path, durable=durable) as stream:
        stream.write(data)


def write_output(path: Path, data: bytes) -> None:
    """Write what a user named: a file is replaced whole or not at all, a pipe or device stays one."""
    if path.is_file() or not path.exists():
        write_atomic(path, data)
    else:
        path.write_bytes(data)


def write_hint(path: Path, data: bytes) -> None:
    """Put `data` at `path` when that is possible: for files whose loss costs time and nothing else."""
    with suppress(OSError):
        make_folder(path.parent)
        put_aside_folder(path)
        write_atomic(path, data, durable=False)


def put_aside_folder(path: Path) -> None:
    """A folder in the place of a file cannot be replaced by one, so it is renamed."""
    if path.is_dir() and not is_link(path):
        move(path, path.with_name(f"{path.name}.{os.urandom(8).hex()}.damaged"))


def sync(descriptor: int) -> None:
    """Wait until the disk has a file; on macOS the disk itself, not only its cache, where it can be asked to."""
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415 - not on Windows

        with suppress(OSError, AttributeError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until the disk has the names in a folder."""
    if os.name == "nt":  # Windows cannot open a folder for this, and orders renames itself.
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(folder: Path) -> None:
    """Remove a folder and all that is in it, as far as that can be removed."""
    import shutil  # noqa: PLC0415 - brings four modules of compression, and is seldom needed

    shutil.rmtree(folder, ignore_errors=True)


def refuse_when_full(root: Path, needed: int) -> None:
    """Raise before anything is written when `needed` bytes do not fit.

    Raises:
        EnvironmentConfigurationError: states needed and free bytes.
    """
    free = _free(root)
    if needed > free:
        raise EnvironmentConfigurationError(
            f"the package does not fit into the cache folder '{root}'.",
            needs=f"{needed} bytes",
            found=f"{free} bytes free",
            fix=_OTHER_FOLDER,
        )


@contextmanager
def disk_errors_named(root: Path, *, needed: int) -> Iterator[None]:
    """Translate a full disk, missing rights and paths that are too long into errors that say what to do.

    Raises:
        EnvironmentConfigurationError: instead of `OSError`.
    """
    try:
        yield
    except OSError as exc:
        if isinstance(exc, (ConnectionError, TimeoutError)):
            raise  # of the source that is being read, not of the disk
        needs, found = "a folder this process may write to", exc.strerror or type(exc).__name__
        if exc.errno in _FULL:
            needs, found = f"{needed} bytes", f"{_free(root)} bytes free"
        elif exc.errno == errno.ENAMETOOLONG and exc.filename is not None:
            needs, found = "a folder whose path is shorter", f"a path of {len(str(exc.filename))} characters"
        elif isinstance(exc, PermissionError) and exc.filename is not None:
            found = f"{found}: '{exc.filename}'"
        raise EnvironmentConfigurationError(
            f"the package cannot be stored in the cache folder '{root}'.", needs=needs, found=found, fix=_OTHER_FOLDER
        ) from exc


def _free(root: Path) -> int:
    while not os.path.exists(root) and root != root.parent:  # noqa: PTH110 - as in make_folder
        root = root.parent
    import shutil  # noqa: PLC0415 - as above

    return shutil.disk_usage(root).free
