from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from inference_models.resolve import hardware

if TYPE_CHECKING:
    from pathlib import Path


def cgroup(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "garbage"}, None),
        ({}, None),
    ],
)
def test_the_quota_is_read_from_either_kind_of_cgroup(
    tmp_path: Path, files: dict[str, str], expected: float | None
) -> None:
    assert hardware.cpu_quota(cgroup(tmp_path, files)) == expected


def test_threads_are_the_quota_rounded_up_and_never_more_than_the_affinity(tmp_path: Path) -> None:
    half = cgroup(tmp_path / "half", {"cpu.max": "50000 100000"})
    many = cgroup(tmp_path / "many", {"cpu.max": "6400000 100000"})
    assert hardware.usable_cpus(half) == 1
    assert hardware.usable_cpus(many) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_cuda_devices_are_not_visible(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not hardware.cuda_device_visible()
