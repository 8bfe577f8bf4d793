"""What is made anew in a forked child: locks, which threads that the child does not have may hold, and what they guard.

`os.fork` copies the memory of a process and only the thread that calls it.
"""

from __future__ import annotations

import functools
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")


class Renewable(Protocol):
    """What does not survive a fork as it is."""

    def renew(self) -> None:
        """Called in a forked child before anything else runs there; must not wait for anything."""


renewed_in_children: WeakSet[Renewable] = WeakSet()
"""What exists now and has its `renew` called in every child that is forked."""
_first_process: dict[str, int] = {}


class Lock:
    """A `threading.Lock` that is open in a child, whoever held it when the process was forked."""

    _kind: Callable[[], Any] = staticmethod(threading.Lock)

    def __init__(self) -> None:
        self._lock = self._kind()
        renewed_in_children.add(self)

    def renew(self) -> None:
        """Open it, in a child."""
        self._lock = self._kind()

    def acquire(self, *, blocking: bool = True, timeout: float = -1) -> bool:
        """Whether it is held now, as that of `threading.Lock`."""
        held: bool = self._lock.acquire(blocking, timeout)
        return held

    def release(self, *_: object) -> None:
        """Open it again."""
        with suppress(RuntimeError):  # it was open already: this thread forked while it held it
            self._lock.release()

    def __enter__(self) -> None:
        self._lock.acquire()

    __exit__ = release


class RLock(Lock):
    """The same of a `threading.RLock`."""

    _kind = staticmethod(threading.RLock)


class cached_property(functools.cached_property[Value]):  # noqa: N801 - as the one it replaces
    """`functools.cached_property`, which holds a lock of its own before Python 3.12."""

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        super().__init__(compute)
        renewed_in_children.add(self)

    def renew(self) -> None:
        """Open its lock."""
        self.lock = threading.RLock()


def was_used_before_fork(runtime: str) -> bool:
    """Whether a process this one was forked from asked the same first, and so started the threads of `runtime`."""
    return _first_process.setdefault(runtime, os.getpid()) != os.getpid()


def keep_for_ever(value: object) -> None:
    """Never take `value` down, such as a runtime in a forked child, whose end waits for threads the child lacks."""
    import ctypes  # noqa: PLC0415 - seldom needed

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


def _renew_all() -> None:
    for owner in tuple(renewed_in_children):
        owner.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
