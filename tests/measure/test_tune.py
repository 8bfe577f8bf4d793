from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from inference_models.cache.store import PackageStore
from inference_models.entities import FileDownloadSpecs
from inference_models.errors import EnvironmentConfigurationError
from inference_models.loading.address import RememberedProvider
from inference_models.measure import contest, tune
from inference_models.measure import select as selection
from inference_models.measure.select import remembered_plan, select_plans
from inference_models.measure.store import MeasurementStore, subject_of
from inference_models.measure.tune import TuneOptions
from measure.packages import asking, asking_detector, classifier, code, detector, record

pytest.importorskip("onnxruntime")
QUICK = TuneOptions(budget=900)
"""No measurement takes that long; on a busy machine it leaves patience for every process to start."""


def children() -> set[int]:
    """Processes that this one started and that have not ended."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    return {
        int(line.split()[0])
        for line in listed.splitlines()
        if line.split()[1] == str(os.getpid()) and "machine.child_main" in line
    }


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The budgets are generous for a busy machine; the rounds are not."""
    monkeypatch.setattr(contest, "MOST_ROUNDS", 2)
    monkeypatch.setattr(contest, "WARM_S", 0.02)
    monkeypatch.setattr(contest, "BURST_S", 0.02)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> None:
    yield
    if sys.platform != "win32":
        assert children() == set()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("inference-child")]


def verdicts(report: tune.TuneReport) -> dict[str, str]:
    return {row.package_id: row.status for row in report.rows}


class TestTheFastest:
    def test_wins_whatever_the_declared_order_and_is_loaded_without_measuring_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record(monkeypatch, slow=0.02, fast=0.01)
        asked = asking(classifier(tmp_path / "slow"), classifier(tmp_path / "fast"), threads=1)
        report = tune.tune(asked, QUICK)
        assert [(row.package_id, row.status) for row in report.rows] == [("fast", "winner"), ("slow", "slower")]
        assert report.remembered

        monkeypatch.setattr(selection, "_measured_plan", lambda *_: pytest.fail("measured again"))
        parts = asked.model, asked.source, asked.choice, asked.load
        chosen = select_plans(*parts)
        assert [plan.candidate.package.package_id for plan in chosen.plans] == ["fast", "slow"]
        assert chosen.reason == "measured"


class TestOut:
    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
    def test_is_what_crashes_raises_disagrees_or_has_no_consent(self, tmp_path: Path) -> None:
        called = "print('last words', file=sys.stderr); os.abort()"
        packages = [
            classifier(tmp_path / "right"),
            code(tmp_path / "odd", called=called),
            code(tmp_path / "unknown", opened="raise RuntimeError('it ran')"),
            classifier(tmp_path / "wrong", tilt=1.0),
        ]
        report = tune.tune(asking(*packages, consent_to=tmp_path / "odd", threads=1), QUICK)
        rows = {row.package_id: row for row in report.rows}
        assert rows["right"].status == "winner"
        assert report.reference == "weights.onnx in ONNX Runtime"
        assert rows["odd"].verdict == "it was ended by SIGABRT while it was run first"
        assert "last words" in rows["odd"].last_lines
        refused = "ForbiddenLocalCodePackageAccessError while it was opened: package folder "
        assert rows["unknown"].verdict.startswith(refused)
        assert rows["wrong"].verdict.startswith("disagrees with the reference: scores differ by up to ")
        assert [rows[name].status for name in ("odd", "unknown", "wrong")] == ["crashed", "failed", "disagrees"]

    def test_is_what_differs_where_nothing_was_found_and_only_outputs_can_be_compared(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record(monkeypatch)
        right = detector(tmp_path / "right", score=0.02, box=(30, 30, 10, 10))
        wrong = detector(tmp_path / "wrong", score=0.10, box=(5, 50, 40, 3))
        report = tune.tune(asking_detector(right, wrong, threads=1), QUICK)
        assert verdicts(report) == {"right": "winner", "wrong": "disagrees"}
        row = next(row for row in report.rows if row.package_id == "wrong")
        assert row.verdict.startswith("disagrees with the reference: output 'output0' differs by up to ")
        assert report.notes[-1] == (
            "the model found nothing on these pictures, so that only raw outputs could be compared; "
            "pass pictures of your own with --image"
        )

    def test_everything_may_be_and_nothing_is_remembered_then(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.executable", str(tmp_path / "none"))
        asked = asking(classifier(tmp_path / "a"))
        report = tune.tune(asked, QUICK)
        assert (report.winner, report.remembered) == (None, False)
        assert not MeasurementStore().facts.folder.exists()


class TestChildren:
    def test_open_what_the_parent_would_open(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ONNXRUNTIME_EXECUTION_PROVIDERS", "[CPUExecutionProvider]")
        monkeypatch.delenv("INFERENCE_HOME")
        monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path / "cache"))
        named = "os.environ['INFERENCE_HOME'], os.environ['ONNXRUNTIME_EXECUTION_PROVIDERS']"
        what = f"print({named}, flush=True); os._exit(1)"
        (row,) = tune.tune(asking(code(tmp_path / "odd", opened=what), consent_to=tmp_path / "odd"), QUICK).rows
        assert row.last_lines == (f"{tmp_path / 'cache'} [CPUExecutionProvider]",)

    def test_are_ended_by_an_interruption(self, tmp_path: Path) -> None:
        def interrupt(text: str, share: float) -> None:
            if text.startswith("round"):
                raise KeyboardInterrupt

        asked = asking(classifier(tmp_path / "a"), classifier(tmp_path / "b"), threads=1)
        with pytest.raises(KeyboardInterrupt):
            tune.tune(asked, TuneOptions(budget=900, progress=interrupt))

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
    @pytest.mark.parametrize("cache", ["used", "read-only"])
    def test_leave_no_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str) -> None:
        (tmp_path / "temporary").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        home = Path(os.environ["INFERENCE_HOME"])
        if cache == "read-only":
            home.write_text("a file where the folder would be")
        record(monkeypatch)
        report = tune.tune(asking(classifier(tmp_path / "a"), threads=1), QUICK)
        assert report.winner is not None
        assert list((tmp_path / "temporary").iterdir()) == []
        assert cache == "read-only" or list((home / "tmp").iterdir()) == []

    @pytest.mark.skipif(sys.platform != "linux", reason="asks the system for the life of a process")
    def test_and_files_of_a_measurement_that_was_ended_by_force_go(self, tmp_path: Path) -> None:
        classifier(tmp_path / "a")
        arguments = [sys.executable, "-m", "inference_models", "tune", str(tmp_path / "a"), "--budget", "60s"]
        desks = Path(os.environ["INFERENCE_HOME"]) / "tmp"
        running = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 30
            while not list(desks.glob("*/image-*.npy")) and time.monotonic() < until:
                time.sleep(0.02)
        finally:
            running.terminate()
            running.wait()
        assert len(list(desks.iterdir())) == 1
        PackageStore(desks.parent).gc()
        assert list(desks.iterdir()) == []


def test_no_folder_that_can_be_written_to_is_named_as_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(os.environ["INFERENCE_HOME"]).write_text("a file where the folder would be")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(EnvironmentConfigurationError) as caught:
        tune.tune(asking(classifier(tmp_path / "a"), threads=1), QUICK)
    assert str(caught.value) == (
        "candidates cannot be measured here.\n"
        "needs a temporary folder with room; found: No such file or directory\n"
        "set TMPDIR to a folder you may write to"
    )


def test_an_error_of_the_progress_is_not_taken_for_one_of_the_folder(tmp_path: Path) -> None:
    def broken(text: str, share: float) -> None:
        raise OSError("Input/output error")

    with pytest.raises(OSError, match=r"^Input/output error$"):
        tune.tune(asking(classifier(tmp_path / "a"), threads=1), TuneOptions(budget=900, progress=broken))


def test_a_process_that_cannot_be_started_is_told_of_the_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "none"))
    report = tune.tune(asking(classifier(tmp_path / "a"), threads=1), QUICK)
    assert [(row.status, row.verdict) for row in report.rows] == [
        ("failed", "its process could not be started: No such file or directory")
    ]


class TestRemembering:
    @pytest.fixture(autouse=True)
    def _recorded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        record(monkeypatch)

    def test_is_not_possible_in_a_cache_that_cannot_be_written_to_and_said(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        Path(os.environ["INFERENCE_HOME"]).write_text("a file where the folder would be")
        asked = asking(classifier(tmp_path / "a"), threads=1)
        with caplog.at_level(logging.WARNING):
            report = tune.tune(asked, QUICK)
        assert report.winner.package_id == "a"
        assert not report.remembered
        assert report.notes[-1] == "it could not be remembered: File exists"
        assert "what is fastest for 'team/m' could not be remembered: File exists" in caplog.text

    def test_holds_what_was_measured(self, tmp_path: Path) -> None:
        asked = asking(classifier(tmp_path / "a"), threads=1)
        report = tune.tune(asked, QUICK)
        subject = subject_of(asked.model, "folders", asked.load, asked.memory)
        kept = MeasurementStore().read(subject)
        assert (kept.winner.package_id, kept.winner.runtime.value, kept.budget) == ("a", "onnx", 900)
        assert kept.table[0]["timing"]["calls"] > 0
        assert remembered_plan(asked.model, asked.source, asked.choice, asked.load, asked.memory) is not None

        assert json.loads(json.dumps(report.to_dict()))["schema_version"] == 2

    def test_waits_until_every_candidate_was_looked_at(self, tmp_path: Path) -> None:
        far = FileDownloadSpecs("http://127.0.0.1:9/weights.onnx", "weights.onnx", sha256_hash="00" * 32)
        gone = replace(classifier(tmp_path / "b"), package_artefacts=[far])
        asked = asking(classifier(tmp_path / "a"), gone, threads=1)
        asked = replace(asked, source=replace(asked.source, provider=RememberedProvider(asked.model)))
        report = tune.tune(asked, QUICK)
        assert (report.winner.package_id, report.remembered) == ("a", False)
        assert verdicts(report)["b"] == "not fetched"
        assert report.notes[-1] == (
            "not every candidate could be looked at: the declared order holds for later loads until all were measured"
        )
        assert remembered_plan(asked.model, asked.source, asked.choice, asked.load, asked.memory) is None
