"""`inference-models doctor`, as it is run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from inference_models.cli import main

if TYPE_CHECKING:
    import pytest


def test_one_array_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert all(set(finding) == {"level", "what", "fix"} for finding in findings)
    assert findings[0]["what"].startswith("system: ")


def test_a_problem_ends_with_one_and_its_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFLINE_MODE", "maybe")
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "problem environment variable OFFLINE_MODE cannot be read as a switch; needs true or false" in out
    assert "         unset OFFLINE_MODE, or set it to true or false\n" in out
