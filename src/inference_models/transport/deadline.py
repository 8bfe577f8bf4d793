"""Work that is given up after a time, whatever it hangs on: a name lookup, a handshake, a byte per second."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class DeadlineExceededError(Exception):
    """The time is over. Never leaves this package."""


def run_within(seconds: float, work: Callable[[], T], *, late: Callable[[T], None]) -> T:
    """What `work` returns or raises, run in a thread of its own and waited for no longer than `seconds`.

    Sockets have time limits per operation only, and a name lookup has none; a thread that is left behind ends the
    wait for all of them, and lets Ctrl-C through at once.

    Args:
        seconds: How long to wait.
        work: What to do.
        late: Gets a result that came after the wait had ended, to dispose of it.

    Raises:
        DeadlineExceededError: `work` was not done in time.
    """
    job = _Job(work, late)
    threading.Thread(target=job.run, name="inference-models-http", daemon=True).start()
    try:
        job.done.wait(seconds)
    finally:
        finished = job.abandon_unless_done()
    if not finished:
        raise DeadlineExceededError
    return job.result()


class _Job(Generic[T]):
    def __init__(self, work: Callable[[], T], late: Callable[[T], None]) -> None:
        self._work = work
        self._late = late
        self._lock = threading.Lock()
        self._abandoned = False
        self._results: list[T] = []
        self._error: BaseException | None = None
        self.done = threading.Event()

    def run(self) -> None:
        try:
            value = self._work()
        except BaseException as exc:  # noqa: BLE001 - raised again in the thread that waits
            self._error = exc
            self.done.set()
            return
        with self._lock:
            if not self._abandoned:
                self._results.append(value)
                self.done.set()
                return
        self._late(value)

    def abandon_unless_done(self) -> bool:
        with self._lock:
            self._abandoned = not self.done.is_set()
            return not self._abandoned

    def result(self) -> T:
        if self._error is not None:
            try:
                raise self._error
            finally:
                # The error holds this frame, and this frame the error: without this, both wait for the collector.
                self._error = None
        return self._results.pop()
