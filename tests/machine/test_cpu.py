"""Instruction sets, from the texts of real processors, shortened."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from inference_models.machine.cpu import apple_intel_flags, cpu_flags, linux_flags, total_memory
from machines import put

if TYPE_CHECKING:
    from pathlib import Path

SAPPHIRE_RAPIDS = (
    "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Platinum 8480+\n"
    "flags\t\t: fpu mmx sse4_1 sse4_2 avx f16c fma avx2 avx512f avx512_vnni amx_bf16 amx_tile amx_int8\nbugs\t: x\n"
)
GRAVITON = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes asimdhp asimddp sve bf16 i8mm\n"
APPLE_INTEL = "FPU SSE3 SSE4.1 SSE4.2 AVX1.0 FMA F16C BMI1 AVX2 AVX512F"


def test_linux_lists_them_per_processor() -> None:
    assert linux_flags(SAPPHIRE_RAPIDS) == {
        *("sse4_1", "sse4_2", "avx", "f16c", "fma", "avx2"),
        *("avx512f", "avx512_vnni", "amx_bf16", "amx_tile", "amx_int8"),
    }
    assert linux_flags(GRAVITON) == {"asimd", "asimdhp", "asimddp", "sve", "bf16", "i8mm"}
    assert linux_flags("no such line") == frozenset()


def test_macos_spells_them_in_its_own_way() -> None:
    assert apple_intel_flags(APPLE_INTEL) == {"sse4_1", "sse4_2", "avx", "fma", "f16c", "avx2", "avx512f"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads the files of Linux")
def test_a_machine_is_read_from_its_files(tmp_path: Path) -> None:
    put(tmp_path, "proc/cpuinfo", SAPPHIRE_RAPIDS * 300)
    put(tmp_path, "proc/meminfo", "MemTotal:       24684096 kB\nMemFree: 1 kB\n")
    assert cpu_flags(tmp_path) == linux_flags(SAPPHIRE_RAPIDS)
    assert total_memory(tmp_path) == 24684096 * 1024


def test_without_files_the_system_is_asked_for_its_memory(tmp_path: Path) -> None:
    assert total_memory(tmp_path) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
