from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from inference_models.measure.busy import OtherPrograms
from inference_models.measure.memory import available_memory, is_working, memory_of, peak_memory

if TYPE_CHECKING:
    from pathlib import Path

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
def test_the_peak_grows_with_what_is_held_and_stays() -> None:
    before = peak_memory()
    block = np.ones(8 << 20)
    assert peak_memory() >= before + 0.9 * block.nbytes or peak_memory() > 64 << 20
    assert memory_of(os.getpid()) <= peak_memory()


@linux
def test_a_process_that_runs_is_working_and_one_that_is_gone_is_not() -> None:
    assert is_working(os.getpid())
    assert not is_working(2**22 + 1)
    assert memory_of(2**22 + 1) is None


def test_available_memory_is_the_lesser_of_machine_and_container(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:    4000 kB\n")
    assert available_memory(tmp_path, tmp_path) == 4000 * 1024
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert available_memory(tmp_path, tmp_path) == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory(tmp_path, tmp_path) == 4000 * 1024
    assert available_memory(tmp_path / "none", tmp_path / "none") is None


@linux
def test_what_other_programs_used_is_what_is_neither_idle_nor_ours(tmp_path: Path) -> None:
    def write(busy: int, idle: int) -> None:
        second = os.sysconf("SC_CLK_TCK")
        numbers = (busy * second, 0, 0, idle * second, 0, 0, 0, 0, 0, 0)
        (tmp_path / "stat").write_text("cpu  " + " ".join(map(str, numbers)) + "\ncpu0 0\n")

    write(1000, 1000)
    others = OtherPrograms(tmp_path)
    write(1300, 1700)
    assert others.share() == pytest.approx(0.3, abs=0.01)
    (tmp_path / "stat").write_text("cpu  many\n")
    assert others.share() == 0.0
