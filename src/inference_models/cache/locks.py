"""Locks so that one process downloads a file while others wait; they take over when the holder has died.

Locks save work and nothing else: everything is correct where they do nothing.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from inference_models.files.durable import make_folder
from inference_models.files.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from filelock import BaseFileLock

_log = logging.getLogger("inference-models")
HEARTBEAT_S = 1.0
"""Seconds between two updates of a held lock file, which show that its process is alive."""
PROGRESS_INTERVAL_S = 5.0
"""A holder that shows nothing for twice as long is stopped, or its machine is gone: waiters go on by themselves."""
_POLL_S = 0.05
_REMOVAL_S = 1.0


@contextmanager
def hold_locks(paths: Sequence[Path], waiting: Callable[[Path], None]) -> Iterator[None]:
    """Hold the locks at `paths` for the block, except those whose holder does not live; `waiting` is called meanwhile.

    The paths are taken in sorted order, so that two processes never wait for each other.
    """
    held: list[BaseFileLock] = []
    stop = threading.Event()
    heart = threading.Thread(target=_beat, args=(held, stop), name="inference-models-heartbeat", daemon=True)
    try:
        heart.start()
        for path in sorted(paths):
            lock = _acquire(path, waiting)
            if lock is not None:
                held.append(lock)
        yield
    finally:
        stop.set()
        if heart.ident is not None:  # else a signal came before it was started
            heart.join()
        for lock in reversed(held):
            with suppress(OSError):
                lock.release()


def is_held(path: Path) -> bool:
    """Whether some process holds the lock now; False where the file system has no locks."""
    try:
        lock = _try(path)
    except OSError:
        return False
    if lock is None:
        return True
    lock.release()
    return False


def hold_shared(path: Path) -> int | None:
    """A descriptor of a file that is locked together with others until it is closed; None where that cannot be.

    Who has the lock to itself, for the moment of a removal, is waited for.
    """
    try:
        descriptor = open_regular(path, quietly=True)
    except OSError:
        return None
    until = time.monotonic() + _REMOVAL_S
    while not _flocked(descriptor, alone=False) and time.monotonic() < until:
        time.sleep(_POLL_S / 10)
    return descriptor


@contextmanager
def held_alone(path: Path) -> Iterator[bool]:
    """False in the block when somebody else holds the file shared; True where there are no locks."""
    try:
        import fcntl  # noqa: F401, PLC0415 - not on Windows, where what this opened could not be moved in the block

        descriptor = open_regular(path, quietly=True)
    except (ImportError, OSError):
        yield True
        return
    try:
        yield _flocked(descriptor, alone=True)
    finally:
        os.close(descriptor)


def _flocked(descriptor: int, *, alone: bool) -> bool:
    """False when it would have to wait; True where there are no locks."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows, where what is open is not removed

        fcntl.flock(descriptor, fcntl.LOCK_NB | (fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return True
    return True


def _acquire(path: Path, waiting: Callable[[Path], None]) -> BaseFileLock | None:
    seen, since = _heartbeat(path), time.monotonic()
    while True:
        try:
            lock = _try(path)
        except OSError as exc:
            # Of a file system that refuses locks (EOPNOTSUPP, ENOLCK, EINVAL, EIO, ENOSYS), or rights.
            _log.debug("%s: not locked: %s", path, exc)
            return None
        if lock is not None:
            return lock
        waiting(path)
        time.sleep(_POLL_S)
        now = _heartbeat(path)
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > 2 * PROGRESS_INTERVAL_S:
            return None


def _try(path: Path) -> BaseFileLock | None:
    """The lock; None when another process or thread holds it.

    Raises:
        OSError: it cannot be had, whoever holds it.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - not needed for a package that is stored

    make_folder(path.parent)
    if os.path.lexists(path) and not path.is_file():
        _put_away(path)
    # Without the fallback, which would leave files that nobody removes when this process dies.
    lock = FileLock(path, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    except NotImplementedError as exc:
        raise OSError(errno.ENOSYS, str(exc)) from exc
    return lock


def _put_away(path: Path) -> None:
    # A folder or a pipe where a lock should be: it holds nothing worth keeping.
    with suppress(OSError):
        path.rmdir() if path.is_dir() else path.unlink()


def _heartbeat(path: Path) -> int:
    # Only whether it changes counts, never what it says: the clocks of two machines may differ by years.
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0


def _beat(held: Sequence[BaseFileLock], stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_S):
        for lock in list(held):
            with suppress(OSError):
                os.utime(lock.lock_file)
