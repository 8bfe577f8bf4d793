"""The short form of the fault campaign: a seeded sample of its groups. `scripts/fault-campaign --full` runs all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

SEED = 7
TESTS = Path(__file__).resolve().parents[2]
GROUPS = [
    "F1",
    "F2",
    "F3",
    "F4",
    "F5",
    "F6",
    "F8",
    "F10",
    "F11",
    "F12",
    "F13",
    "F13n",
    "F13w",
    "F14",
    "F16",
    "F17",
    "F18",
    "F19",
]


@pytest.fixture(scope="module")
def found():
    """Results by group. In a process of its own: it forks, which a process with threads must not."""
    if sys.platform != "linux":
        pytest.skip("the campaign forks, stops and traces processes as Linux does")
    path = os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])
    command = [sys.executable, "-m", "cache.faults.campaign", "--seed", str(SEED), "--only", ",".join(GROUPS)]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr[-2000:]
    return {result["group"]: result for result in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("group", GROUPS)
def test_nothing_is_lost(found, group):
    result = found[group]
    assert result["problems"] == []
    assert result["cases"] > 0, "the sample of this seed is empty"
