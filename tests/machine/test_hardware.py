"""Processors, memory and devices: limits of containers as Docker, Kubernetes and systemd lay them out."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from inference_models.machine import hardware
from inference_models.machine.hardware import (
    apple_intel_flags,
    cpu_flags,
    cpu_quota,
    memory_limit,
    total_memory,
)
from machines import put

if TYPE_CHECKING:
    from pathlib import Path

TOP = "sys/fs/cgroup"
UNLIMITED = "9223372036854771712\n"
SAPPHIRE_RAPIDS = (
    "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Platinum 8480+\n"
    "flags\t\t: fpu mmx sse4_1 sse4_2 avx f16c fma avx2 avx512f avx512_vnni amx_bf16 amx_tile amx_int8\nbugs\t: x\n"
)
GRAVITON = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes asimdhp asimddp sve bf16 i8mm\n"
APPLE_INTEL = "FPU SSE3 SSE4.1 SSE4.2 AVX1.0 FMA F16C BMI1 AVX2 AVX512F"


class TestContainer:
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
        self, tmp_path: Path, files: dict[str, str], expected: float | None
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
    def test_so_is_the_memory_limit(self, tmp_path: Path, name: str, text: str, expected: int | None) -> None:
        put(tmp_path, f"{TOP}/{name}", text)
        assert memory_limit(tmp_path) == expected

    @pytest.mark.parametrize(
        ("pod", "container", "expected"),
        [
            pytest.param("200000 100000", "max 100000", 2.0, id="the outer one"),
            pytest.param("400000 100000", "100000 100000", 1.0, id="the inner one"),
            pytest.param("max 100000", "max 100000", None, id="none"),
        ],
    )
    def test_of_nested_cgroups_the_tightest_counts(
        self, tmp_path: Path, pod: str, container: str, expected: float | None
    ) -> None:
        put(tmp_path, "proc/self/cgroup", "0::/kubepods.slice/pod.slice/app.scope\n")
        put(tmp_path, f"{TOP}/kubepods.slice/pod.slice/cpu.max", pod)
        put(tmp_path, f"{TOP}/kubepods.slice/pod.slice/app.scope/cpu.max", container)
        assert cpu_quota(tmp_path) == expected

    def test_version_one_has_a_path_for_each_controller(self, tmp_path: Path) -> None:
        put(tmp_path, "proc/self/cgroup", "5:memory:/jobs/one\n4:cpu,cpuacct:/jobs\n1:name=systemd:/user.slice\n0::/\n")
        put(tmp_path, f"{TOP}/memory/jobs/memory.limit_in_bytes", "3000")
        put(tmp_path, f"{TOP}/memory/jobs/one/memory.limit_in_bytes", UNLIMITED)
        put(tmp_path, f"{TOP}/cpu/jobs/cpu.cfs_quota_us", "25000")
        put(tmp_path, f"{TOP}/cpu/jobs/cpu.cfs_period_us", "100000")
        assert (memory_limit(tmp_path), cpu_quota(tmp_path)) == (3000, 0.25)

    def test_a_path_outside_of_it_leads_to_what_is_mounted(self, tmp_path: Path) -> None:
        put(tmp_path, "proc/self/cgroup", "4:memory:/docker/3f2a\n0::/../../other\n")
        put(tmp_path, f"{TOP}/memory/memory.limit_in_bytes", "5000")
        put(tmp_path, f"{TOP}/unified/cpu.max", "300000 100000")
        assert (memory_limit(tmp_path), cpu_quota(tmp_path)) == (5000, 3.0)

    def test_threads_are_the_quota_rounded_up_and_never_more_than_the_affinity(self, tmp_path: Path) -> None:
        put(tmp_path / "half", "sys/fs/cgroup/cpu.max", "50000 100000")
        put(tmp_path / "many", "sys/fs/cgroup/cpu.max", "6400000 100000")
        assert hardware.usable_cpus(tmp_path / "half") == 1
        assert hardware.usable_cpus(tmp_path / "many") == len(os.sched_getaffinity(0))


SAPPHIRE_RAPIDS_FLAGS = {
    *("sse4_1", "sse4_2", "avx", "f16c", "fma", "avx2"),
    *("avx512f", "avx512_vnni", "amx_bf16", "amx_tile", "amx_int8"),
}


class TestInstructionSets:
    @pytest.mark.skipif(sys.platform != "linux", reason="reads the files of Linux")
    @pytest.mark.parametrize(
        ("text", "flags"),
        [
            (SAPPHIRE_RAPIDS, SAPPHIRE_RAPIDS_FLAGS),
            (SAPPHIRE_RAPIDS * 300, SAPPHIRE_RAPIDS_FLAGS),
            (GRAVITON, {"asimd", "asimdhp", "asimddp", "sve", "bf16", "i8mm"}),
            ("no such line", set()),
        ],
        ids=["x86", "hundreds of processors", "arm", "nothing"],
    )
    def test_linux_lists_them_per_processor(self, tmp_path: Path, text: str, flags: set[str]) -> None:
        put(tmp_path, "proc/cpuinfo", text)
        assert cpu_flags(tmp_path) == flags

    def test_macos_spells_them_in_its_own_way(self) -> None:
        assert apple_intel_flags(APPLE_INTEL) == {"sse4_1", "sse4_2", "avx", "fma", "f16c", "avx2", "avx512f"}

    @pytest.mark.skipif(sys.platform != "linux", reason="reads the files of Linux")
    def test_memory_is_read_from_its_file(self, tmp_path: Path) -> None:
        put(tmp_path, "proc/meminfo", "MemTotal:       24684096 kB\nMemFree: 1 kB\n")
        assert total_memory(tmp_path) == 24684096 * 1024


def test_without_files_the_system_is_asked_for_its_memory(tmp_path: Path) -> None:
    assert total_memory(tmp_path) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(("dev/nvidia0", "dev/nvidia1", "dev/nvidiactl"), ("nvidia0", "nvidia1"), id="two cards"),
        pytest.param(("dev/nvidiactl",), (), id="no card"),
        pytest.param(("dev/nvhost-gpu",), ("nvhost-gpu",), id="Jetson"),
        pytest.param(("dev/dxg", "usr/lib/wsl/lib/libcuda.so.1"), ("dxg",), id="Windows with NVIDIA"),
        pytest.param(("dev/dxg",), (), id="Windows with another GPU"),
    ],
)
def test_devices_are_known_by_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    for file in files:
        put(tmp_path, file, "")
    assert hardware.device_files(tmp_path) == expected
    assert hardware.cuda_device_visible(tmp_path) is bool(expected)
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert not hardware.cuda_device_visible(tmp_path)
