"""Memory that is free, and how busy other programs are, from psutil; without it (extra `tune`) nothing is known."""

from __future__ import annotations

import os

from inference_models.machine.child import psutil_or_none
from inference_models.machine.hardware import memory_limit


def available_memory() -> int | None:
    """Bytes that new processes could use: what the machine has left, or the container's limit if that is less."""
    psutil = psutil_or_none()
    if psutil is None:
        return None
    left, limit = int(psutil.virtual_memory().available), memory_limit()
    return left if limit is None else min(left, limit)


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
