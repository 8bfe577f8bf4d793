"""The operating system, and whether this is a Jetson."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference_models import config
from inference_models.errors import JetsonTypeResolutionError, nearest_hint
from inference_models.machine.hardware import public_version, read_text, sysctl

if TYPE_CHECKING:
    from collections.abc import Callable

    from packaging.version import Version

JETSONS = (
    "NVIDIA Jetson Orin Nano",
    "NVIDIA Jetson Orin NX",
    "NVIDIA Jetson AGX Orin",
    "NVIDIA Jetson IGX Orin",
    "NVIDIA Jetson Xavier NX",
    "NVIDIA Jetson AGX Xavier Industrial",
    "NVIDIA Jetson AGX Xavier",
    "NVIDIA Jetson Nano",
    "NVIDIA Jetson TX2",
)
"""Modules by the beginning of their name; a longer name stands before those it begins with."""
VARIABLES = ("JETSON_MODULE", "L4T_VERSION", "RUNNING_ON_JETSON")
"""What a user can say where the system does not."""
_BOOT_KEY = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"
_QUERY, _STILL_ACTIVE, _NO_SUCH_PROCESS = 0x1000, 259, 87
"""PROCESS_QUERY_LIMITED_INFORMATION, STILL_ACTIVE, ERROR_INVALID_PARAMETER."""
_L4T_RELEASE = r"R(\d+).*REVISION:\s*([\d.]+)"


def jetson_type(root: Path) -> str | None:
    """The Jetson module, for example `nvidia-jetson-orin-nano`: `JETSON_MODULE`, else the device tree; None elsewhere.

    Raises:
        JetsonTypeResolutionError: `JETSON_MODULE` names no Jetson.
    """
    stated = os.environ.get("JETSON_MODULE", "").strip()
    name = stated or read_text(root / "proc/device-tree/model").strip("\0 \n")
    known = next((module for module in JETSONS if name.lower().startswith(module.lower())), None)
    if known is not None:
        return known.replace(" ", "-").lower()
    if not stated:
        return None
    raise JetsonTypeResolutionError(f"JETSON_MODULE={stated!r} names no Jetson; {nearest_hint(stated, JETSONS)}.")


def is_jetson(module: str | None) -> bool:
    """`RUNNING_ON_JETSON`, else whether the module is known.

    Raises:
        InvalidEnvVariable: `RUNNING_ON_JETSON` is no switch.
    """
    return config.read_bool("RUNNING_ON_JETSON", default=module is not None)


def l4t_version(root: Path) -> Version | None:
    """Version of Linux for Tegra: `L4T_VERSION`, else what the system states."""
    stated = os.environ.get("L4T_VERSION", "").strip()
    if stated:
        return public_version(stated)
    found = re.search(_L4T_RELEASE, read_text(root / "etc/nv_tegra_release"))
    return public_version(f"{found[1]}.{found[2]}") if found else None


def os_version(root: Path) -> str:
    """For example `ubuntu-22.04`."""
    lines = read_text(root / "etc/os-release").splitlines()
    facts = dict(line.split("=", 1) for line in lines if "=" in line)
    name, number = (facts.get(key, "").strip("\"'") for key in ("NAME", "VERSION_ID"))
    if sys.platform.startswith("linux") and name and number:
        return f"{name}-{number}".lower()
    return platform.platform().lower()


def accelerators(root: Path) -> frozenset[str] | None:
    """Kinds of device, `gpu` and `npu`, whose nodes Linux shows; None on systems that show them otherwise."""
    if not sys.platform.startswith("linux"):
        return None
    nodes = {"gpu": "dri/renderD*", "npu": "accel/accel*"}
    return frozenset(kind for kind, pattern in nodes.items() if any((root / "dev").glob(pattern)))


@cache
def boot_id() -> str:
    """A name for the time since this machine was started; empty where the system does not say."""
    with suppress(OSError, ImportError, AttributeError):
        if sys.platform == "darwin":
            return sysctl("kern.bootsessionuuid").rstrip(b"\0").decode("ascii", "replace")
        if sys.platform == "win32":
            import winreg  # noqa: PLC0415 - Windows only

            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _BOOT_KEY) as key:
                return f"boot {winreg.QueryValueEx(key, 'BootId')[0]}"
    return read_text(Path("/proc/sys/kernel/random/boot_id")).strip()


def is_running(process: int) -> bool:
    """Whether a process with this number exists; True where this user may not know."""
    with suppress(PermissionError, OverflowError, AttributeError):
        if sys.platform == "win32":
            kernel = ctypes.WinDLL("kernel32", use_last_error=True)
            return _is_running_on_windows(kernel, ctypes.get_last_error, process)
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True


def _is_running_on_windows(kernel: Any, last_error: Callable[[], int], process: int) -> bool:
    handle = kernel.OpenProcess(_QUERY, False, process)
    if not handle:
        return last_error() != _NO_SUCH_PROCESS
    ended = ctypes.c_ulong()
    known = kernel.GetExitCodeProcess(handle, ctypes.byref(ended))
    kernel.CloseHandle(handle)
    return not known or ended.value == _STILL_ACTIVE


def longest_path() -> int | None:
    """Characters that a path may have on Windows where long ones were not enabled; None: no such limit."""
    with suppress(AttributeError):
        if sys.platform == "win32" and not ctypes.WinDLL("ntdll").RtlAreLongPathsEnabled():
            return 259
    return None
