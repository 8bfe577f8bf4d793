from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import typer

from inference_models import AutoModel
from inference_models.cli import main
from inference_models.cli.tune import parse_seconds
from inference_models.machine.child import Child
from measure.packages import classifier, record

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnxruntime")


@pytest.fixture(autouse=True)
def _recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    record(monkeypatch)


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("1.5m", 90), ("5 min", 300), ("1h", 3600), ("250ms", 0.25), ("7", 7)]
)
def test_budgets_are_read_with_their_unit(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "0s", "-5s", "5d", "1e3s", "nan", "inf", "2d", "100000s"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no time to measure for; write for example 60s or 5m"):
        parse_seconds(text)


def test_a_load_takes_the_winner_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "made"
    classifier(folder)
    assert main(["tune", str(folder), "--budget", "30s", "--backend", "onnx", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["schema_version"], said["remembered"], said["budget"]) == (2, True, 30)
    (winner,) = [row for row in said["rows"] if row["status"] == "winner"]
    with AutoModel.from_pretrained(folder, backend="onnx") as model:
        found = model.resolved_model
        assert (found.selected_by, found.threads) == ("measured", winner["threads"])
    with AutoModel.from_pretrained(folder, backend="onnx", select="order") as model:
        assert model.resolved_model.selected_by == "order"


def test_pictures_of_ones_own_are_timed_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import cv2
    import numpy as np

    folder, picture = tmp_path / "made", tmp_path / "picture.png"
    classifier(folder)
    cv2.imwrite(str(picture), np.full((20, 30, 3), (0, 0, 200), np.uint8))
    arguments = [str(folder), "--budget", "30s", "--backend", "onnx", "--threads", "1", "--image", str(picture)]
    assert main(["tune", *arguments]) == 0
    out = capsys.readouterr().out
    assert "measured: weights.onnx in ONNX Runtime" in out
    assert "answers compared on 17 pictures" in out


def test_nothing_measured_is_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "none"))
    monkeypatch.setattr("inference_models.measure.contest.Child", Child)
    folder = tmp_path / "made"
    classifier(folder)
    assert main(["tune", str(folder), "--backend", "onnx"]) == 1
    assert "nothing could be measured; the declared order stays" in capsys.readouterr().out
