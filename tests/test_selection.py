"""Measured choice through `AutoModel`: what was found fastest is loaded, whatever else is remembered."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hosted
from inference_models import AutoModel
from inference_models.measure import tune as measuring
from inference_models.measure.store import MeasurementStore
from measure.packages import classifier

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnxruntime")
IMAGE = np.zeros((64, 64, 3), np.uint8)
ONLY = {"backend": "onnx", "threads": 1}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    """Has `team/m/1` in two packages: the first in the declared order is the slower one."""
    made = hosted.Hosted()
    for name, work in (("a0slow", 2500), ("b1fast", 0)):
        classifier(tmp_path / name, work=work)
        files = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        facts = {"model_architecture": "resnet", "task_type": "classification"}
        made.add("team/m/1", files, asked_for="m", package_id=name, **facts)
    hosted.install(monkeypatch, {"host": made})
    monkeypatch.setattr("inference_models.measure.contest.MOST_ROUNDS", 8)
    return made


def loaded(**options: object) -> tuple[str, str]:
    with AutoModel.from_pretrained("host:m", **ONLY, **options) as model:
        found = model.resolved_model
        assert model(IMAGE).class_id.shape == (1,)
        return found.model_package_id, found.selected_by


def test_what_was_measured_is_loaded_from_then_on_and_the_order_only_when_asked_for(
    host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loaded() == ("a0slow", "order")
    assert loaded(select="measured") == ("b1fast", "measured")
    asked = len(host.described)
    monkeypatch.setattr(measuring.Contest, "run", lambda *_: pytest.fail("measured again"))
    assert loaded(select="measured") == ("b1fast", "measured")
    assert loaded() == ("b1fast", "measured")
    assert loaded(select="order")[0] == "a0slow"
    assert loaded() == ("b1fast", "measured")
    assert loaded(select="order")[0] == "a0slow"
    assert len(host.described) <= asked + 1  # the first load in the declared order had been decided as another question


def test_measuring_works_when_the_declared_choice_was_never_loaded(host: hosted.Hosted) -> None:
    assert loaded(select="measured") == ("b1fast", "measured")
    assert loaded() == ("b1fast", "measured")


def test_neither_keys_nor_signatures_are_kept(host: hosted.Hosted) -> None:
    loaded(select="measured", api_key="canary-key")
    (path,) = MeasurementStore().folder.iterdir()
    assert b"canary" not in path.read_bytes()
    assert json.loads(path.read_bytes().partition(b"\n")[2])["model_id"] == "team/m/1"


def test_a_program_that_cannot_be_started_again_loads_in_the_declared_order(
    host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.frozen", True, raising=False)
    with caplog.at_level(logging.WARNING):
        assert loaded(select="measured") == ("a0slow", "order")
    assert caplog.messages == [
        (
            "'team/m/1' is loaded in the declared order; it cannot be measured: candidates cannot be measured here.\n"
            "needs a Python interpreter that can be started again; "
            "found: a program that was frozen into one executable\n"
            "measure with the command line of an ordinary installation: inference-models tune"
        )
    ]


def test_a_package_that_is_named_is_the_one_that_is_loaded(host: hosted.Hosted) -> None:
    assert loaded(model_package_id="a0slow") == ("a0slow", "package id")
    assert loaded(select="measured") == ("b1fast", "measured")
    assert loaded(model_package_id="a0slow") == ("a0slow", "package id")
