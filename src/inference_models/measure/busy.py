"""How busy other programs kept the machine."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")
_FIELDS = 8
"""Of the first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; guests are in the first."""
_IDLE = (3, 4)


class OtherPrograms:
    """Counts processor time from when it is made; children of this process count once they have ended."""

    def __init__(self, proc: Path = _PROC) -> None:
        self._proc = proc
        self._start = self._read()

    def share(self, living: float = 0.0) -> float:
        """Share of all processors' time that was neither idle nor ours, 0..1; 0 where nobody can say.

        Args:
            living: Seconds used by children of this process that have not ended.
        """
        before, after = self._start, self._read()
        if before is None or after is None:
            return 0.0
        every, idle, ours = (later - earlier for later, earlier in zip(after, before, strict=True))
        return min(1.0, max(0.0, (every - idle - ours - living) / every)) if every > 0 else 0.0

    def _read(self) -> tuple[float, float, float] | None:
        """Seconds of all processors, of those idle, and of ours."""
        try:
            line = (self._proc / "stat").read_text("ascii").splitlines()[0]
            ticks = [int(value) for value in line.split()[1 : 1 + _FIELDS]]
            second = os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError, AttributeError):
            return None
        if len(ticks) < _FIELDS:
            return None
        return sum(ticks) / second, sum(ticks[index] for index in _IDLE) / second, sum(os.times()[:4])
