"""Limits of containers, as Docker, Kubernetes and systemd lay them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inference_models.machine.cgroups import cpu_quota, memory_limit
from machines import put

if TYPE_CHECKING:
    from pathlib import Path

TOP = "sys/fs/cgroup"
UNLIMITED = "9223372036854771712\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "garbage"}, None),
        ({"cpu.max": "100000 0"}, None),
        ({"cpu.max": "1 2 3"}, None),
        ({}, None),
    ],
)
def test_the_quota_is_read_from_either_kind_of_cgroup(
    tmp_path: Path, files: dict[str, str], expected: float | None
) -> None:
    for name, text in files.items():
        put(tmp_path, f"{TOP}/{name}", text)
    assert cpu_quota(tmp_path) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("memory.max", "4294967296\n", 4294967296),
        ("memory.max", "max\n", None),
        ("memory/memory.limit_in_bytes", "2147483648\n", 2147483648),
        ("memory/memory.limit_in_bytes", UNLIMITED, None),
        ("memory.max", "garbage", None),
    ],
)
def test_the_memory_limit_is_read_from_either_kind_of_cgroup(
    tmp_path: Path, name: str, text: str, expected: int | None
) -> None:
    put(tmp_path, f"{TOP}/{name}", text)
    assert memory_limit(tmp_path) == expected


@pytest.mark.parametrize(
    ("pod", "container", "expected"),
    [("200000 100000", "max 100000", 2.0), ("400000 100000", "100000 100000", 1.0), ("max 100000", "max 100000", None)],
    ids=["the outer one", "the inner one", "none"],
)
def test_of_nested_cgroups_the_tightest_counts(
    tmp_path: Path, pod: str, container: str, expected: float | None
) -> None:
    put(tmp_path, "proc/self/cgroup", "0::/kubepods.slice/pod.slice/app.scope\n")
    put(tmp_path, f"{TOP}/kubepods.slice/pod.slice/cpu.max", pod)
    put(tmp_path, f"{TOP}/kubepods.slice/pod.slice/app.scope/cpu.max", container)
    assert cpu_quota(tmp_path) == expected


def test_version_one_has_a_path_for_each_controller(tmp_path: Path) -> None:
    put(tmp_path, "proc/self/cgroup", "5:memory:/jobs/one\n4:cpu,cpuacct:/jobs\n1:name=systemd:/user.slice\n0::/\n")
    put(tmp_path, f"{TOP}/memory/jobs/memory.limit_in_bytes", "3000")
    put(tmp_path, f"{TOP}/memory/jobs/one/memory.limit_in_bytes", UNLIMITED)
    put(tmp_path, f"{TOP}/cpu/jobs/cpu.cfs_quota_us", "25000")
    put(tmp_path, f"{TOP}/cpu/jobs/cpu.cfs_period_us", "100000")
    assert (memory_limit(tmp_path), cpu_quota(tmp_path)) == (3000, 0.25)


def test_a_path_outside_of_the_container_leads_to_what_is_mounted(tmp_path: Path) -> None:
    put(tmp_path, "proc/self/cgroup", "4:memory:/docker/3f2a\n0::/../../other\n")
    put(tmp_path, f"{TOP}/memory/memory.limit_in_bytes", "5000")
    put(tmp_path, f"{TOP}/unified/cpu.max", "300000 100000")
    assert (memory_limit(tmp_path), cpu_quota(tmp_path)) == (5000, 3.0)
