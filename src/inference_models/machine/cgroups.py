"""What the container grants: limits of cgroups, version 1 and 2, nested ones included."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from inference_models.machine.system_files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/")
_UNLIMITED = 1 << 60
"""Bytes from which on version 1 means that there is no limit."""


def cpu_quota(root: Path = ROOT) -> float | None:
    """CPUs the tightest cgroup of this process grants, for example 1.5; None when none sets a limit."""
    modern = (_ratio(read_text(folder / "cpu.max")) for folder in _folders(root, None))
    legacy = (
        _ratio(read_text(folder / "cpu.cfs_quota_us") + " " + read_text(folder / "cpu.cfs_period_us"))
        for folder in _folders(root, "cpu")
    )
    return min((quota for quota in (*modern, *legacy) if quota is not None), default=None)


def memory_limit(root: Path = ROOT) -> int | None:
    """Bytes the tightest cgroup of this process grants; None when none sets a limit."""
    texts = [read_text(folder / "memory.max") for folder in _folders(root, None)]
    texts += [read_text(folder / "memory.limit_in_bytes") for folder in _folders(root, "memory")]
    limits = [int(text) for text in map(str.strip, texts) if text.isdecimal()]
    return min((limit for limit in limits if limit < _UNLIMITED), default=None)


def _folders(root: Path, controller: str | None) -> Iterator[Path]:
    """The folders of this process's cgroup and of all above it; `controller` None: those of version 2.

    Without a cgroup namespace the path names groups outside of the container, which are not there; what is mounted
    then is the container's own group, the last one that is visited.
    """
    top = root / "sys/fs/cgroup"
    mounts = [top, top / "unified"] if controller is None else [top / controller]
    parts = [part for part in _own_group(root, controller).parts if part not in {"/", ".."}]
    for mount in mounts:
        for depth in range(len(parts), -1, -1):
            yield mount.joinpath(*parts[:depth])


def _own_group(root: Path, controller: str | None) -> PurePosixPath:
    for line in read_text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if (number == "0" and not controllers) if controller is None else controller in controllers.split(","):
            return PurePosixPath(path)
    return PurePosixPath("/")


def _ratio(text: str) -> float | None:
    """Of a quota and the period it is for."""
    numbers = text.split()
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers) or int(numbers[1]) == 0:
        return None
    return int(numbers[0]) / int(numbers[1])
