"""Forks of this process, for what has to work in them. Each ends within a minute."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEEDS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork a process")
QUIET = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
"""Python says that such forks are dangerous, which is what is tested."""


@contextmanager
def busy(work: Callable[[], object]) -> Iterator[None]:
    """While it lasts, another thread does `work` again and again."""
    stop, begun = threading.Event(), threading.Event()

    def repeat() -> None:
        while not stop.is_set():
            work()
            begun.set()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        assert begun.wait(60)
        yield
    finally:
        stop.set()
        thread.join()


def child_says(question: Callable[[], bool]) -> bool | None:
    """What `question` answers in a fork of this process; None when it does not within a minute, or ends in an error."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if question() else 1)
        except BaseException:  # noqa: BLE001 - the child must end here, whatever happens in it
            traceback.print_exc()
        finally:
            os._exit(2)
    for _ in range(600):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return {0: True, 1: False}.get(os.waitstatus_to_exitcode(status))
        time.sleep(0.1 if _ else 0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
