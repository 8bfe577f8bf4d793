"""The few facts about the hardware that loading needs, read without importing a runtime."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cpus(cgroup: Path = _CGROUP) -> int:
    """CPUs this process may use: the smaller of its affinity and its cgroup quota, at least 1."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(cgroup)
    return max(1, count if quota is None else min(count, math.ceil(quota)))


def cpu_quota(cgroup: Path = _CGROUP) -> float | None:
    """CPUs the cgroup grants (v2, else v1), for example 1.5; None when it sets no limit."""
    modern = _read(cgroup / "cpu.max").split()
    if len(modern) == 2:
        return _ratio(*modern)
    return _ratio(_read(cgroup / "cpu" / "cpu.cfs_quota_us"), _read(cgroup / "cpu" / "cpu.cfs_period_us"))


def cuda_device_visible() -> bool:
    """Whether the operating system shows an NVIDIA device to this process."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}:
        return False
    if sys.platform == "win32":
        return Path(os.environ.get("SystemRoot", r"C:\Windows"), "System32", "nvcuda.dll").exists()  # noqa: SIM112
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/nvhost-gpu").exists()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _ratio(quota: str, period: str) -> float | None:
    if quota.isdecimal() and period.isdecimal() and int(period) > 0:
        return int(quota) / int(period)
    return None
