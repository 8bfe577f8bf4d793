"""Measured choice through `AutoModel`: what was found fastest is loaded, whatever else is remembered."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hosted
from inference_models import AutoModel
from inference_models.measure import select as measuring_select
from inference_models.measure import tune as measuring
from inference_models.measure.store import MeasurementStore
from inference_models.measure.tune import TuneOptions, tune_model
from inference_models.negotiate.request import build_request
from inference_models.options import LoadOptions
from measure.packages import classifier, record

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.negotiate.report import NegotiationReport

pytest.importorskip("onnxruntime")
IMAGE = np.zeros((64, 64, 3), np.uint8)
ONLY = {"backend": "onnx", "threads": 1}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    """Has `team/m/1` in two packages: the first in the declared order is the slower one."""
    made = hosted.Hosted()
    publish(made, tmp_path, "a0slow")
    publish(made, tmp_path, "b1fast")
    hosted.install(monkeypatch, {"host": made})
    record(monkeypatch, a0slow=0.05, b1fast=0.01, c2new=0.01)
    return made


def publish(host: hosted.Hosted, folder: Path, name: str) -> None:
    classifier(folder / name)
    files = {path.name: path.read_bytes() for path in (folder / name).iterdir()}
    facts = {"model_architecture": "resnet", "task_type": "classification"}
    host.add("team/m/1", files, asked_for="m", package_id=name, **facts)


def explained() -> NegotiationReport:
    return AutoModel.explain("host:m", **ONLY)


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


def test_a_choice_made_on_a_busy_machine_is_measured_again_by_the_next_quiet_load_that_asks(
    host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, runs, run = [0.5], [], measuring.Contest.run
    watched = SimpleNamespace(share=lambda *_: busy[0])
    for module in ("contest", "select"):
        monkeypatch.setattr(f"inference_models.measure.{module}.OtherPrograms", lambda: watched)
    monkeypatch.setattr(measuring.Contest, "run", lambda *given: (runs.append(1), run(*given)))
    for times, (share, options) in enumerate(
        [(0.5, {"select": "measured"}), (0.5, {"select": "measured"}), (0.0, {}), (0.0, {"select": "measured"})]
    ):
        busy[0] = share
        assert loaded(**options) == ("b1fast", "measured")
        assert len(runs) == (1 if times < 3 else 2)
    assert loaded(select="measured") == ("b1fast", "measured")
    assert len(runs) == 2


def test_measuring_works_when_the_declared_choice_was_never_loaded(host: hosted.Hosted) -> None:
    assert loaded(select="measured") == ("b1fast", "measured")
    assert loaded() == ("b1fast", "measured")


def test_a_measurement_without_a_network_is_about_what_was_here_and_holds_there(
    host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loaded() == ("a0slow", "order")
    monkeypatch.setenv("OFFLINE_MODE", "1")
    options = LoadOptions(select="measured", threads=1)
    report = tune_model("host:m", build_request(options, backend="onnx"), options, api_key=None, how=TuneOptions())
    assert [row.package_id for row in report.rows] == ["a0slow"]
    assert loaded() == ("a0slow", "measured")
    monkeypatch.delenv("OFFLINE_MODE")
    assert loaded() == ("a0slow", "remembered")
    assert loaded(select="measured") == ("b1fast", "measured")
    assert loaded() == ("b1fast", "measured")


def test_a_package_that_is_published_later_is_measured_too(
    host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert loaded(select="measured") == ("b1fast", "measured")
    publish(host, tmp_path, "c2new")
    monkeypatch.setenv("AUTO_LOADER_CACHE_EXPIRATION_MINUTES", "0")
    assert loaded() == ("a0slow", "order")
    assert explained().would_run.reason == "order"
    assert loaded(select="measured")[1] == "measured"
    assert loaded()[1] == "measured"
    assert explained().would_run.reason == "measured"


def test_a_measurement_that_is_damaged_loses_its_settings_and_the_log_says_so(
    host: hosted.Hosted, caplog: pytest.LogCaptureFixture
) -> None:
    assert loaded(select="measured") == ("b1fast", "measured")
    (path,) = MeasurementStore().facts.folder.iterdir()
    path.write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert loaded() == ("b1fast", "remembered")
    (message,) = caplog.messages
    assert message == (
        f"{path}: remembered measurement ignored: it is no JSON object; "
        "without it the package of an earlier load, else the declared order decides, with default settings"
    )


def test_neither_keys_nor_signatures_are_kept(host: hosted.Hosted) -> None:
    loaded(select="measured", api_key="canary-key")
    (path,) = MeasurementStore().facts.folder.iterdir()
    assert b"canary" not in path.read_bytes()
    assert json.loads(path.read_bytes())["subject"]["model_id"] == "team/m/1"


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


def test_threads_that_load_the_same_model_measure_it_once(host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    run, runs = measuring.Contest.run, []
    monkeypatch.setattr(measuring.Contest, "run", lambda *arguments: runs.append(arguments) or run(*arguments))
    with ThreadPoolExecutor(2) as pool:
        found = [future.result() for future in [pool.submit(loaded, select="measured") for _ in range(2)]]
    assert found == [("b1fast", "measured")] * 2
    assert len(runs) == 1


def test_the_winner_may_also_be_opened_without_its_settings(
    host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    select, selections = measuring_select.select_plans, []
    monkeypatch.setattr(
        measuring_select, "select_plans", lambda *arguments: selections.append(select(*arguments)) or selections[-1]
    )
    AutoModel.from_pretrained("host:m", backend="onnx", select="measured").close()
    first, *rest = [(plan.candidate.package.package_id, plan.threads) for plan in selections[0].plans]
    assert first[0] == "b1fast"
    assert first[1] is not None
    assert rest == [("a0slow", None), ("b1fast", None)]
