"""Memory and processor time of processes, from psutil; without it (extra `tune`) they are unknown, nothing fails."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Any

from inference_models.machine.hardware import memory_limit

_PASSES = 10
"""A process may start another one while it is looked for."""


def psutil_or_none() -> Any:
    """The module; None: it is not installed."""
    try:
        import psutil  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return psutil


def memory_and_seconds(process: int) -> tuple[int | None, float]:
    """Bytes that a process holds now, and the processor seconds it has used; None and 0 where that is unknown."""
    psutil = psutil_or_none()
    if psutil is None:
        return None, 0.0
    try:
        found = psutil.Process(process)
        memory = found.memory_info()
        used = found.cpu_times()
    except (psutil.Error, OSError):
        return None, 0.0
    # Windows states the most it ever held.
    return getattr(memory, "peak_wset", memory.rss), used.user + used.system


def available_memory() -> int | None:
    """Bytes that new processes could use: what the machine has left, or the container's limit if that is less."""
    psutil = psutil_or_none()
    if psutil is None:
        return None
    left, limit = int(psutil.virtual_memory().available), memory_limit()
    return left if limit is None else min(left, limit)


def end_marked(name: str, value: str) -> None:
    """End every process of this user that has the environment variable `name` with this value."""
    psutil = psutil_or_none()
    for _ in range(_PASSES if psutil else 0):
        found = [process for process in map(int, psutil.pids()) if _end_if_marked(psutil, process, name, value)]
        if not found:
            return
        time.sleep(0.01)


def _end_if_marked(psutil: Any, process: int, name: str, value: str) -> bool:
    with suppress(psutil.Error, OSError, ValueError):
        found = psutil.Process(process)
        if found.environ().get(name) == value:
            found.kill()
            return True
    return False


class OtherPrograms:
    """How busy other programs keep the processors, from when it is made."""

    def __init__(self) -> None:
        self._psutil = psutil_or_none()
        self._start = self._read()

    def share(self, children: float = 0.0) -> float:
        """Share of all processors' time that was neither idle nor ours, 0..1; 0 where that is unknown.

        Args:
            children: Seconds that processes which this one started have used.
        """
        every, idle, ours = (later - earlier for later, earlier in zip(self._read(), self._start, strict=True))
        return min(1.0, max(0.0, (every - idle - ours - children) / every)) if every > 0 else 0.0

    def _read(self) -> tuple[float, float, float]:
        """Seconds of all processors, of those idle, and of this process."""
        if self._psutil is None:
            return 0.0, 0.0, 0.0
        times = self._psutil.cpu_times()._asdict()
        # Time of guests is in that of the user already.
        every = sum(value for name, value in times.items() if not name.startswith("guest"))
        return every, times["idle"] + times.get("iowait", 0.0), sum(os.times()[:2])
