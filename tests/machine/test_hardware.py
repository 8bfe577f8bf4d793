from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from inference_models.machine import hardware
from machines import put

if TYPE_CHECKING:
    from pathlib import Path


def test_threads_are_the_quota_rounded_up_and_never_more_than_the_affinity(tmp_path: Path) -> None:
    put(tmp_path / "half", "sys/fs/cgroup/cpu.max", "50000 100000")
    put(tmp_path / "many", "sys/fs/cgroup/cpu.max", "6400000 100000")
    assert hardware.usable_cpus(tmp_path / "half") == 1
    assert hardware.usable_cpus(tmp_path / "many") == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (("dev/nvidia0", "dev/nvidia1", "dev/nvidiactl"), ("nvidia0", "nvidia1")),
        (("dev/nvidiactl",), ()),
        (("dev/nvhost-gpu",), ("nvhost-gpu",)),
        (("dev/dxg", "usr/lib/wsl/lib/libcuda.so.1"), ("dxg",)),
        (("dev/dxg",), ()),
    ],
    ids=["two cards", "no card", "Jetson", "Windows with NVIDIA", "Windows with another GPU"],
)
def test_devices_are_known_by_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    for file in files:
        put(tmp_path, file, "")
    assert hardware.device_files(tmp_path) == expected
    assert hardware.cuda_device_visible(tmp_path) is bool(expected)


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_cuda_devices_are_not_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    put(tmp_path, "dev/nvidia0", "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not hardware.cuda_device_visible(tmp_path)
