"""What says something about a model, filled with the worst of its size: read or refused, within the bounds promised.

Each reader gets each text in one child process, whose memory and processor time are limited by the system.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hostile_texts

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")


@pytest.mark.parametrize("reader", hostile_texts.READERS)
def test_any_text_costs_three_times_its_size_and_256_mb_at_most(reader: str) -> None:
    if reader.endswith(".safetensors"):
        pytest.importorskip("torch")
        pytest.importorskip("safetensors")
    command = [sys.executable, hostile_texts.__file__, reader]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(hostile_texts.texts_for(reader))
