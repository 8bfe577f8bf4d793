"""`pull` leaves a cache from which the model loads without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hosted
from inference_models import AutoModel
from inference_models.cli import main
from inference_models.entities import BackendType, ModelDependency
from inference_models.freeze.lockfile import read_lock
from providers.published import published
from scripted_server import served_files


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


def test_a_bare_file_is_copied_so_that_it_can_be_locked_and_bundled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my net.onnx").write_bytes(hosted.detector_files(tmp_path / "made")["weights.onnx"])
    Path("names.txt").write_text("cat\ndog\n")
    stated = ["my net.onnx", "--labels", "names.txt", "--family", "yolov8"]
    assert main(["pull", *stated]) == main(["lock", *stated]) == main(["bundle", "export", *stated, "-o", "n.zip"]) == 0
    assert "my-net.onnx: " in capsys.readouterr().out
    Path("names.txt").unlink()
    image = np.zeros((64, 64, 3), np.uint8)
    shutil.rmtree(os.environ["INFERENCE_HOME"])
    with AutoModel.from_lock("models.lock") as model:  # from the file, which still lies here
        assert (model.class_names, len(model(image)[0])) == (["cat", "dog"], 1)
    Path("my net.onnx").unlink()
    shutil.rmtree(os.environ["INFERENCE_HOME"])
    assert main(["bundle", "import", "n.zip"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    with AutoModel.from_pretrained(Path(out.split("  in ")[1].strip())) as model:
        assert (model.class_names, len(model(image)[0])) == (["cat", "dog"], 1)
    with AutoModel.from_lock("models.lock") as model:
        assert len(model(image)[0]) == 1


def test_one_that_fails_does_not_keep_the_rest_from_being_fetched(
    host: hosted.Hosted, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pull", "host:none", "host:cats", "host:nor-this"]) == 1
    out, err = capsys.readouterr()
    assert out == "team/cats/1: p1  onnx fp32  batch dynamic, 0.0 MB\n"
    assert err == (
        "error: no model 'none'.\nerror: no model 'nor-this'.\n2 of 3 models failed: host:none, host:nor-this\n"
    )


@pytest.mark.parametrize("command", [["pull"], ["lock"], ["bundle", "export"]])
def test_the_key_comes_from_the_environment_and_the_help_says_so(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--api-key" in text
    assert "INFERENCE_MODELS_API_KEY holds it too" in text
    assert "--allow-untrusted" in text


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Any]:
    files = {f"/{path}": data for path, data in published(tmp_path / "published").items()}
    with served_files(files, key="canary-key") as server:
        yield server


def test_no_signature_and_no_key_is_left_anywhere(
    shelf: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFERENCE_MODELS_API_KEY", "canary-key")
    model = f"{shelf.url()}/manifest.json?X-Amz-Signature=canary#day-night"
    target, lock = tmp_path / "x.bundle", tmp_path / "x.lock"
    assert main(["pull", model, "--api-key", "canary-key"]) == 0
    assert main(["lock", model, "-o", str(lock)]) == 0
    assert main(["bundle", "export", model, "-o", str(target)]) == 0
    assert shelf.seen[0][:2] == ("/manifest.json?X-Amz-Signature=canary", "Bearer canary-key")
    (pinned,) = read_lock(lock).models
    assert pinned.asked_for == f"{shelf.url()}/manifest.json#day-night"
    files = [path for path in Path(os.environ["INFERENCE_HOME"]).rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in [*files, lock, target]:
        assert b"canary" not in path.read_bytes(), path
        assert "canary" not in str(path)
    assert main(["pull", f"{shelf.url()}/none/manifest.json?X-Amz-Signature=canary#x", model]) == 1
    assert "canary" not in "".join(capsys.readouterr())


def test_the_same_model_is_remembered_under_any_signature(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = f"{shelf.url()}/manifest.json?X-Amz-Signature=first#day-night"
    assert main(["pull", model, "--api-key", "canary-key"]) == 0
    seen = len(shelf.seen)
    with AutoModel.from_pretrained(model.replace("first", "second"), api_key="canary-key") as loaded:
        assert loaded.class_names == ["day", "night"]
    assert len(shelf.seen) == seen
