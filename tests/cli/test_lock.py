"""`lock` writes a file from which exactly these bytes load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hosted
from inference_models import AutoModel
from inference_models.cli import main
from inference_models.freeze.lockfile import read_lock


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    made = hosted.Hosted()
    made.add("team/cats/1", hosted.detector_files(tmp_path / "cats"), asked_for="cats")
    made.add("team/dogs/1", hosted.detector_files(tmp_path / "dogs", score=0.5), asked_for="dogs")
    hosted.install(monkeypatch, {"host": made})
    return made


def test_models_are_locked_and_load_from_an_empty_cache(
    host: hosted.Hosted, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "models.lock"
    assert main(["lock", "host:cats", "host:dogs", "-o", str(target)]) == 0
    assert capsys.readouterr().out == f"{target}: 2 packages, 8 files\n"
    assert [model.asked_for for model in read_lock(target).models] == ["cats", "dogs"]
    monkeypatch.setenv("INFERENCE_HOME", str(tmp_path / "other-machine"))
    with AutoModel.from_lock(target, "dogs") as model:
        assert float(model(np.zeros((64, 64, 3), np.uint8))[0].confidence[0]) == pytest.approx(0.5)


def test_the_file_has_a_usual_name(
    host: hosted.Hosted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["lock", "host:cats"]) == 0
    assert len(read_lock("models.lock").models) == 1
