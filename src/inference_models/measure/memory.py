"""Memory of processes, read from the operating system without another library."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")


def peak_memory() -> int | None:
    """Bytes this process held in memory at most since it began; None where nobody can say."""
    stated = _status_bytes("VmHWM", _PROC / "self")
    if stated is not None:
        return stated
    try:
        import resource  # noqa: PLC0415 - Windows has none
    except ImportError:
        return None
    # Linux also counts what the process was before it became this program, so it is asked above.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def memory_of(process: int) -> int | None:
    """Bytes that another process holds in memory now; None where nobody can say."""
    return _status_bytes("VmRSS", _PROC / str(process))


def available_memory(proc: Path = _PROC, cgroup: Path = _CGROUP) -> int | None:
    """Bytes that new processes could use: what the machine has left, or the container if that is less."""
    free = _kilobytes("MemAvailable", _text(proc / "meminfo"))
    limit, used = _text(cgroup / "memory.max").strip(), _text(cgroup / "memory.current").strip()
    left = int(limit) - int(used) if limit.isdecimal() and used.isdecimal() else None
    known = [value for value in (free, left) if value is not None]
    return max(0, min(known)) if known else None


def is_working(process: int) -> bool:
    """Whether a thread of a process runs or wants to; False where nobody can say."""
    states = (_text(path) for path in (_PROC / str(process) / "task").glob("*/stat"))
    return any(text.rpartition(")")[2].split()[:1] == ["R"] for text in states)


def processor_seconds(process: int) -> float:
    """Seconds of processor time another process has used; 0 where nobody can say."""
    fields = _text(_PROC / str(process) / "stat").rpartition(")")[2].split()
    if len(fields) < 13:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status_bytes(name: str, folder: Path) -> int | None:
    return _kilobytes(name, _text(folder / "status"))


def _kilobytes(name: str, text: str) -> int | None:
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key == name and value.split()[:1] and value.split()[0].isdecimal():
            return int(value.split()[0]) * 1024
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
