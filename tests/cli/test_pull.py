"""`pull` leaves a cache from which the model loads without a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hosted
from inference_models import AutoModel
from inference_models.cli import main
from inference_models.entities import BackendType, ModelDependency


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    made = hosted.Hosted()
    files = hosted.detector_files(tmp_path / "cats")
    made.add("team/cats/1", files, asked_for="cats")
    made.add("team/cats/1", files, asked_for="cats", package_id="trt1", backend=BackendType.TRT)
    needs = [ModelDependency(name="cats", model_id="team/cats/1")]
    made.add("team/zoo/1", hosted.detector_files(tmp_path / "zoo", score=0.5), model_dependencies=needs)
    hosted.install(monkeypatch, {"host": made})
    return made


def test_the_model_loads_offline_afterwards(
    host: hosted.Hosted, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["pull", "host:cats"]) == 0
    assert capsys.readouterr().out == "team/cats/1: p1  onnx fp32  batch dynamic, 0.0 MB\n"
    monkeypatch.setenv("OFFLINE_MODE", "1")
    host.down = True
    with AutoModel.from_pretrained("host:cats") as model:
        assert float(model(np.zeros((64, 64, 3), np.uint8))[0].confidence[0]) == pytest.approx(0.9)


def test_pulling_again_offline_says_what_is_there(
    host: hosted.Hosted, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["pull", "host:cats"])
    monkeypatch.setenv("OFFLINE_MODE", "1")
    host.down = True
    read = list(host.read_files)
    assert main(["pull", "host:cats"]) == 0
    assert host.read_files == read


def test_models_that_are_needed_are_fetched_too(host: hosted.Hosted, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "host:team/zoo/1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "team/zoo/1: p1  onnx fp32  batch dynamic, 0.0 MB",
        "team/cats/1: p1  onnx fp32  batch dynamic, 0.0 MB  (needed by another)",
    ]


def test_packages_for_other_machines_are_fetched_when_asked_for(
    host: hosted.Hosted, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pull", "host:cats", "--every-package"]) == 0
    assert [line.split()[1:3] for line in capsys.readouterr().out.splitlines()] == [["p1", "onnx"], ["trt1", "trt"]]


def test_what_does_not_fit_is_refused_with_the_reason(host: hosted.Hosted, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "host:cats", "--quantization", "int8"]) == 1
    assert "needs quantization int8; found: fp32" in " ".join(capsys.readouterr().err.split())


def test_a_path_needs_no_fetching(host: hosted.Hosted, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    for name, data in hosted.detector_files(tmp_path / "made").items():
        (folder / name).write_bytes(data)
    assert main(["pull", str(folder)]) == 1
    assert capsys.readouterr().err == (
        f"error: {str(folder)!r} lies on this machine already and is not fetched.\n"
        "needs a model of another provider; found: a path\n"
    )
