from __future__ import annotations

import builtins
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_models.machine import child, usage


class Times:
    """What psutil says of the processors."""

    def __init__(self, busy: float, idle: float) -> None:
        self.values = {"user": busy, "system": 0.0, "idle": idle, "iowait": 0.0, "guest": busy}

    def _asdict(self) -> dict[str, float]:
        return self.values


def test_a_process_holds_what_it_made_and_one_that_is_gone_says_nothing() -> None:
    pytest.importorskip("psutil")
    block = np.ones(8 << 20)
    memory, seconds = child.memory_and_seconds(os.getpid())
    assert memory > block.nbytes
    assert seconds > 0
    assert child.memory_and_seconds(2**22 + 1) == (None, 0.0)


def test_the_container_may_leave_less_than_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psutil")
    monkeypatch.setattr(usage, "memory_limit", lambda: None)
    assert usage.available_memory() > 1 << 20
    monkeypatch.setattr(usage, "memory_limit", lambda: 1 << 20)
    assert usage.available_memory() == 1 << 20


def test_what_other_programs_used_is_what_is_neither_idle_nor_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(psutil, "cpu_times", lambda: Times(1000, 1000))
    monkeypatch.setattr(os, "times", lambda: (1.0, 1.0, 0.0, 0.0, 0.0))
    others = usage.OtherPrograms()
    assert others.share() == 0.0
    monkeypatch.setattr(psutil, "cpu_times", lambda: Times(1300, 1700))
    monkeypatch.setattr(os, "times", lambda: (51.0, 1.0, 0.0, 0.0, 0.0))
    assert others.share(children=50.0) == pytest.approx(0.2)


def test_without_psutil_little_is_known_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "psutil":
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    memory, seconds = child.memory_and_seconds(os.getpid())
    assert (memory is not None) == Path("/proc/self/statm").exists()
    assert seconds == 0.0
    assert child.memory_and_seconds(2**22 + 1) == (None, 0.0)
    assert usage.available_memory() is None
    assert usage.OtherPrograms().share() == 0.0
    child.end_marked("NAME", "value")
