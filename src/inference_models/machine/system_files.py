"""What the system says in small files and variables: what cannot be read is empty, what is no version is None."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from packaging.version import InvalidVersion, Version

_BOOT_KEY = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"


def read_text(path: Path, *, limit: int = 1 << 16) -> str:
    """The first `limit` characters of a file; empty when it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(limit)
    except OSError:
        return ""


@cache
def boot_id() -> str:
    """A name for the time since this machine was started; empty where the system does not say."""
    if sys.platform == "darwin":
        return sysctl("kern.bootsessionuuid").rstrip(b"\0").decode("ascii", "replace")
    if sys.platform == "win32":
        import winreg  # noqa: PLC0415 - Windows only

        with suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _BOOT_KEY) as key:
            return f"boot {winreg.QueryValueEx(key, 'BootId')[0]}"
        return ""
    return read_text(Path("/proc/sys/kernel/random/boot_id")).strip()


def is_running(process: int) -> bool:
    """Whether a process with this number exists; True where this user may not know."""
    if sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        handle = kernel.OpenProcess(0x1000, False, process)  # PROCESS_QUERY_LIMITED_INFORMATION
        if not handle:
            return ctypes.get_last_error() != 87  # ERROR_INVALID_PARAMETER: there is none
        ended, still_active = ctypes.c_ulong(), 259
        known = kernel.GetExitCodeProcess(handle, ctypes.byref(ended))
        kernel.CloseHandle(handle)
        return not known or ended.value == still_active
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def sysctl(name: str) -> bytes:
    """The value of a kernel variable of macOS; empty when the name is unknown."""
    ask = ctypes.CDLL(None).sysctlbyname
    size = ctypes.c_size_t(0)
    if ask(name.encode(), None, ctypes.byref(size), None, ctypes.c_size_t(0)) != 0:
        return b""
    buffer = ctypes.create_string_buffer(size.value)
    done = ask(name.encode(), buffer, ctypes.byref(size), None, ctypes.c_size_t(0))
    return buffer.raw[: size.value] if done == 0 else b""


def public_version(text: str | None) -> Version | None:
    """The version in `text` without what stands behind `+`; None when there is none."""
    try:
        return None if text is None else Version(Version(text).public)
    except InvalidVersion:
        return None


def newest_suffix(folders: list[Path], library: str) -> Version | None:
    """The highest version that files `<library>.so.<version>` of these folders carry in their names."""
    found = [
        version
        for folder in folders
        for path in folder.glob(f"{library}.so.*.*")
        if (version := public_version(path.name.removeprefix(f"{library}.so."))) is not None
    ]
    return max(found, default=None)
