"""Processors, memory and devices of this machine, within what the container grants (cgroups of version 1 and 2)."""

from __future__ import annotations

import ctypes
import math
import os
import re
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from inference_models.machine.system_files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/")
_UNLIMITED = 1 << 60
"""Bytes from which on version 1 means that there is no limit."""


def usable_cpus(root: Path = ROOT) -> int:
    """CPUs this process may use: the smaller of its affinity and its cgroup quota, at least 1."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root)
    return max(1, count if quota is None else min(count, math.ceil(quota)))


def cpu_quota(root: Path = ROOT) -> float | None:
    """CPUs the tightest cgroup of this process grants, for example 1.5; None when none sets a limit."""
    texts = [read_text(folder / "cpu.max") for folder in _folders(root, None)]
    texts += [
        read_text(folder / "cpu.cfs_quota_us") + " " + read_text(folder / "cpu.cfs_period_us")
        for folder in _folders(root, "cpu")
    ]
    pairs = [numbers for text in texts if len(numbers := text.split()) == 2 and all(map(str.isdecimal, numbers))]
    return min((int(quota) / int(period) for quota, period in pairs if int(period)), default=None)


def memory_limit(root: Path = ROOT) -> int | None:
    """Bytes the tightest cgroup of this process grants; None when none sets a limit."""
    texts = [read_text(folder / "memory.max") for folder in _folders(root, None)]
    texts += [read_text(folder / "memory.limit_in_bytes") for folder in _folders(root, "memory")]
    limits = [int(text) for text in map(str.strip, texts) if text.isdecimal()]
    return min((limit for limit in limits if limit < _UNLIMITED), default=None)


def total_memory(root: Path = ROOT) -> int | None:
    """Bytes of memory this machine has; None when the system does not say."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", read_text(root / "proc/meminfo"), re.MULTILINE)
    if found:
        return int(found[1]) * 1024
    if sys.platform == "win32":
        # struct MEMORYSTATUSEX: two 32-bit numbers, then seven 64-bit ones, the first of which is the total.
        buffer = (ctypes.c_uint64 * 8)()
        buffer[0] = ctypes.sizeof(buffer)
        done = ctypes.CDLL("kernel32").GlobalMemoryStatusEx(ctypes.byref(buffer))
        return int(buffer[1]) if done else None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


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


def _folders(root: Path, controller: str | None) -> Iterator[Path]:
    """The folders of this process's cgroup and of all above it; `controller` None: those of version 2.

    Without a cgroup namespace the path names groups outside of the container, which are not there; what is mounted
    then is the container's own group, the last one that is visited.
    """
    own = PurePosixPath("/")
    for line in read_text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if (number == "0" and not controllers) if controller is None else controller in controllers.split(","):
            own = PurePosixPath(path)
            break
    top = root / "sys/fs/cgroup"
    parts = [part for part in own.parts if part not in {"/", ".."}]
    for mount in [top, top / "unified"] if controller is None else [top / controller]:
        for depth in range(len(parts), -1, -1):
            yield mount.joinpath(*parts[:depth])
