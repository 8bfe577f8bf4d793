"""The few facts about the hardware that loading needs, read without importing a runtime."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

from inference_models.machine.cgroups import ROOT, cpu_quota


def usable_cpus(root: Path = ROOT) -> int:
    """CPUs this process may use: the smaller of its affinity and its cgroup quota, at least 1."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root)
    return max(1, count if quota is None else min(count, math.ceil(quota)))


def cuda_device_visible(root: Path = ROOT) -> bool:
    """Whether the operating system shows an NVIDIA device to this process."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}:
        return False
    if sys.platform == "win32":
        return Path(os.environ.get("SystemRoot", r"C:\Windows"), "System32", "nvcuda.dll").exists()  # noqa: SIM112
    return bool(device_files(root))


def device_files(root: Path = ROOT) -> tuple[str, ...]:
    """Names of the files through which Linux shows NVIDIA devices, sorted."""
    cards = (path.name for path in (root / "dev").glob("nvidia[0-9]*"))
    jetson = (name for name in ("nvhost-gpu",) if (root / "dev" / name).exists())
    # The Windows Subsystem for Linux shows one file for every kind of GPU, and the driver's library beside it.
    is_windows_guest = (root / "dev/dxg").exists() and (root / "usr/lib/wsl/lib/libcuda.so.1").exists()
    return tuple(sorted((*cards, *jetson, *(("dxg",) if is_windows_guest else ()))))
