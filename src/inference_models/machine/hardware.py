"""Processors, memory and devices of this machine, within what the container grants (cgroups of version 1 and 2).

Read from small system files: what cannot be read is empty, what is no version is None.
"""

from __future__ import annotations

import ctypes
import math
import os
import re
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/")
_UNLIMITED = 1 << 60
"""Bytes from which on version 1 means that there is no limit."""
FLAGS = frozenset(
    {
        *("amx_bf16", "amx_complex", "amx_fp16", "amx_int8", "amx_tile", "asimd", "asimddp", "asimdhp"),
        *("avx", "avx2", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx512bw", "avx512dq", "avx512f", "avx512vl"),
        *("avx_ne_convert", "avx_vnni", "avx_vnni_int8", "bf16", "f16c", "fma", "i8mm", "neon", "sme", "sme2"),
        *("sse4_1", "sse4_2", "ssse3", "sve", "sve2", "svebf16", "svei8mm"),
    }
)
"""The instruction sets that runtimes ask for or have kernels of their own for, as Linux spells them."""
_LINUX = re.compile(r"^(?:flags|Features)\s*:\s*(.*)$", re.MULTILINE)
_ONE_PROCESSOR = 1 << 13
"""Characters of /proc/cpuinfo that hold the first processor; machines with hundreds take long to list all."""
_APPLE_ARM = {
    "FEAT_BF16": "bf16",
    "FEAT_DotProd": "asimddp",
    "FEAT_FP16": "asimdhp",
    "FEAT_I8MM": "i8mm",
    "FEAT_SME": "sme",
    "FEAT_SME2": "sme2",
}
_APPLE_INTEL = {
    "avx1.0": "avx",
    "avx512bf16": "avx512_bf16",
    "avx512vnni": "avx512_vnni",
    "sse4.1": "sse4_1",
    "sse4.2": "sse4_2",
}
_WINDOWS = {36: "ssse3", 37: "sse4_1", 38: "sse4_2", 39: "avx", 40: "avx2", 41: "avx512f", 43: "asimddp"}
"""Numbers of `IsProcessorFeaturePresent`."""


def read_text(path: Path, *, limit: int = 1 << 16) -> str:
    """The first `limit` characters of a file; empty when it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(limit)
    except OSError:
        return ""


def public_version(text: str | None) -> Version | None:
    """The version in `text` without what stands behind `+`; None when there is none."""
    try:
        return None if text is None else Version(Version(text).public)
    except InvalidVersion:
        return None


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


def cpu_flags(root: Path = ROOT) -> frozenset[str]:
    """Those of `FLAGS` that this processor has."""
    if sys.platform == "darwin":
        return _apple_flags()
    if sys.platform == "win32":
        present = ctypes.CDLL("kernel32").IsProcessorFeaturePresent
        return frozenset(name for number, name in _WINDOWS.items() if present(number))
    found = _LINUX.search(read_text(root / "proc/cpuinfo", limit=_ONE_PROCESSOR))
    return FLAGS & set(found[1].lower().split()) if found else frozenset()


def apple_intel_flags(text: str) -> frozenset[str]:
    """Those of `FLAGS` in what `sysctl machdep.cpu.features machdep.cpu.leaf7_features` prints."""
    return FLAGS & {_APPLE_INTEL.get(name, name) for name in text.lower().split()}


def _apple_flags() -> frozenset[str]:
    if sysctl("hw.optional.arm64"):
        named = {flag for name, flag in _APPLE_ARM.items() if any(sysctl(f"hw.optional.arm.{name}"))}
        return frozenset({"asimd", "neon", *named})
    texts = (sysctl(f"machdep.cpu.{name}").rstrip(b"\0") for name in ("features", "leaf7_features"))
    return apple_intel_flags(b" ".join(texts).decode("ascii", "replace"))


def sysctl(name: str) -> bytes:
    """The value of a kernel variable of macOS; empty when the name is unknown."""
    ask = ctypes.CDLL(None).sysctlbyname
    size = ctypes.c_size_t(0)
    if ask(name.encode(), None, ctypes.byref(size), None, ctypes.c_size_t(0)) != 0:
        return b""
    buffer = ctypes.create_string_buffer(size.value)
    done = ask(name.encode(), buffer, ctypes.byref(size), None, ctypes.c_size_t(0))
    return buffer.raw[: size.value] if done == 0 else b""
