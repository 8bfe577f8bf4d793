"""`bundle export` here, `bundle import` there, and the model runs there without a network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

import hosted
from inference_models import AutoModel
from inference_models.cli import main


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    made = hosted.Hosted()
    made.add("team/cats/1", hosted.detector_files(tmp_path / "cats"), asked_for="cats", license=None)
    hosted.install(monkeypatch, {"host": made})
    return made


def test_a_model_moves_to_a_machine_without_a_network(
    host: hosted.Hosted, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "cats.bundle"
    assert main(["bundle", "export", "host:cats", "-o", str(target)]) == 0
    out, err = capsys.readouterr()
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    assert out == f"{target}: 1 packages, 0.0 MB\nsha256 {digest}\n"
    assert err == "team/cats/1: no licence is stated\n"

    monkeypatch.setenv("INFERENCE_HOME", str(tmp_path / "other-machine"))
    monkeypatch.setenv("OFFLINE_MODE", "1")
    host.down = True
    asked = list(host.described)
    assert main(["bundle", "import", str(target), "--sha256", digest.upper()]) == 0
    assert capsys.readouterr().out == "host:cats  package p1\n"
    with AutoModel.from_pretrained("host:cats") as model:
        assert float(model(np.zeros((64, 64, 3), np.uint8))[0].confidence[0]) == pytest.approx(0.9)
    assert host.described == asked


def test_another_file_than_the_announced_one_is_refused(
    host: hosted.Hosted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "cats.bundle"
    main(["bundle", "export", "host:cats", "-o", str(target)])
    capsys.readouterr()
    assert main(["bundle", "import", str(target), "--sha256", "0" * 64]) == 1
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    assert capsys.readouterr().err == (
        f"error: {target} is another file.\nneeds sha256 {'0' * 64}; found: sha256 {digest}\n"
    )
