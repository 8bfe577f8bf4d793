from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference_models.cache.store import PackageStore
from inference_models.entities import BackendType, FileDownloadSpecs, Quantization
from inference_models.errors import EnvironmentConfigurationError
from inference_models.loading.resolutions import RememberedProvider
from inference_models.measure import contender, contest, tune
from inference_models.measure import select as selection
from inference_models.measure.child import Child, Limits, child_environment
from inference_models.measure.job import Job
from inference_models.measure.select import remembered_plan, select_plans
from inference_models.measure.store import MeasurementStore, subject_of
from inference_models.measure.tune import TuneOptions
from inference_models.negotiate.case import Candidate
from inference_models.package.folder import read_package_folder
from measure.packages import asking, asking_detector, classifier, code, detector

pytest.importorskip("onnxruntime")
QUICK = TuneOptions(budget=30)


def children() -> set[int]:
    """Processes that this one started and that have not ended."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    return {
        int(line.split()[0])
        for line in listed.splitlines()
        if line.split()[1] == str(os.getpid()) and "measure.worker" in line
    }


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The budgets are generous for a busy machine; the rounds are not."""
    monkeypatch.setattr(contest, "MOST_ROUNDS", 2)
    monkeypatch.setattr(contest, "WARM_S", 0.02)
    monkeypatch.setattr(contender, "BURST_S", 0.02)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> None:
    yield
    if sys.platform != "win32":
        assert children() == set()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("inference-measure")]


def verdicts(report: tune.TuneReport) -> dict[str, str]:
    return {row.package_id: row.status for row in report.rows}


class TestTheFastest:
    def test_wins_whatever_the_declared_order_and_is_loaded_without_measuring_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(contest, "MOST_ROUNDS", 8)
        asked = asking(classifier(tmp_path / "slow", work=3000), classifier(tmp_path / "fast"), threads=1)
        report = tune.tune(asked, QUICK)
        assert [(row.package_id, row.status) for row in report.rows] == [("fast", "winner"), ("slow", "slower")]
        fast, slow = (row.timing for row in report.rows)
        assert fast.median_ms < slow.median_ms
        assert fast.median_ms <= fast.p95_ms
        assert slow.slower > 0.25
        assert all(row.peak_memory > 20e6 and row.load_seconds > 0 and row.device == "cpu" for row in report.rows)
        assert report.remembered
        assert report.seconds < 31

        monkeypatch.setattr(selection, "_measured_plan", lambda *_: pytest.fail("measured again"))
        parts = asked.model, asked.source, asked.choice, asked.load, asked.memory
        chosen = select_plans(*parts)
        assert [plan.candidate.package.package_id for plan in chosen.plans] == ["fast", "slow"]
        assert chosen.reason == "measured"

    def test_among_equals_the_declared_order_decides_and_fewer_threads(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(contest, "MOST_ROUNDS", 8)
        asked = asking(classifier(tmp_path / "a"), classifier(tmp_path / "b"), threads=1)
        rows = {row.package_id: row for row in tune.tune(asked, QUICK).rows}
        # The two are one graph: whichever was faster by chance, the difference is noise or too small to matter.
        assert rows["a"].status == "winner" or rows["b"].timing.slower <= 0.05


class TestOut:
    def measured_beside(self, tmp_path: Path, **what: str) -> tune.TuneReport:
        odd = code(tmp_path / "odd", **what)
        good = classifier(tmp_path / "good")
        return tune.tune(asking(good, odd, consent_to=tmp_path / "odd", threads=1), QUICK)

    def odd(self, report: tune.TuneReport) -> tune.TuneRow:
        assert report.winner.package_id == "good"
        return next(row for row in report.rows if row.package_id == "odd")

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
    def test_is_what_crashes_and_the_signal_is_named(self, tmp_path: Path) -> None:
        row = self.odd(self.measured_beside(tmp_path, called="print('last words', file=sys.stderr); os.abort()"))
        assert (row.status, row.verdict) == ("crashed", "it was ended by SIGABRT while it was run first")
        assert "last words" in row.last_lines
        assert row.timing is None

    def test_is_what_crashes_while_it_is_opened(self, tmp_path: Path) -> None:
        row = self.odd(self.measured_beside(tmp_path, opened="os._exit(7)"))
        assert (row.status, row.verdict) == ("crashed", "it ended with code 7 while it was opened")

    def test_is_what_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contest, "LEAST_PATIENCE_S", 5.0)
        monkeypatch.setattr(contest, "PATIENCE_SHARE", 0.01)
        row = self.odd(self.measured_beside(tmp_path, called="time.sleep(60)"))
        assert row.status == "hung"
        assert row.verdict.startswith("no answer within 5.")
        assert row.verdict.endswith(" s while it was run first")

    def test_is_what_raises(self, tmp_path: Path) -> None:
        row = self.odd(self.measured_beside(tmp_path, called="raise RuntimeError('no such op')"))
        assert (row.status, row.verdict) == ("failed", "RuntimeError while it was run first: no such op")

    def test_is_code_without_consent(self, tmp_path: Path) -> None:
        odd = code(tmp_path / "odd", opened="raise RuntimeError('it ran')")
        row = self.odd(tune.tune(asking(classifier(tmp_path / "good"), odd, threads=1), QUICK))
        assert row.status == "failed"
        assert row.verdict.startswith("ForbiddenLocalCodePackageAccessError while it was opened: package folder ")

    def test_is_what_disagrees(self, tmp_path: Path) -> None:
        asked = asking(classifier(tmp_path / "right"), classifier(tmp_path / "wrong", tilt=1.0), threads=1)
        report = tune.tune(asked, QUICK)
        assert verdicts(report) == {"right": "winner", "wrong": "disagrees"}
        row = next(row for row in report.rows if row.package_id == "wrong")
        assert row.verdict.startswith("disagrees with the reference: scores differ by up to ")
        assert report.reference == "right onnx fp32"

    def test_is_what_takes_too_much_memory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if not Path("/proc/self/status").exists():
            pytest.skip("nobody says here how much memory a process has")
        monkeypatch.setattr(contest, "available_memory", lambda: 320 << 20)
        row = self.odd(self.measured_beside(tmp_path, opened="cls.big = np.ones(36 << 20); time.sleep(30)"))
        assert row.status == "too much memory"

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a session of its own")
    def test_is_what_leaves_a_daemon_and_that_is_waited_for_by_nobody(self, tmp_path: Path) -> None:
        """A process in a session of its own holds the pipe of the child that crashed."""
        seen = tmp_path / "daemon.txt"
        opened = (
            "import subprocess; daemon = subprocess.Popen(['sleep', '60'], start_new_session=True); "
            f"open({str(seen)!r}, 'w').write(str(daemon.pid))"
        )
        odd = code(tmp_path / "odd", opened=opened, called="os.abort()")
        started = time.monotonic()
        report = tune.tune(asking(odd, consent_to=tmp_path / "odd"), TuneOptions(budget=20))
        assert time.monotonic() - started < 15
        assert [row.status for row in report.rows] == ["crashed"]
        daemon = int(seen.read_text())
        if sys.platform == "linux":
            assert not is_living(daemon)
        else:
            os.kill(daemon, signal.SIGKILL)

    def test_is_what_answers_otherwise_in_a_format_without_a_gate(self, tmp_path: Path) -> None:
        """Whatever comes first in the declared order, fp32 is what the others are held against."""
        wrong = replace(classifier(tmp_path / "wrong", tilt=-30.0), quantization=Quantization.INT8)
        near = replace(classifier(tmp_path / "near", tilt=0.01), quantization=Quantization.INT8)
        report = tune.tune(asking(wrong, near, classifier(tmp_path / "right", work=2500), threads=1), QUICK)
        assert report.reference == "right onnx fp32"
        assert verdicts(report) == {"near": "winner", "right": "slower", "wrong": "disagrees"}
        row = next(row for row in report.rows if row.package_id == "wrong")
        assert (
            "of the classes with a score above 0.5 are the same (int8 has no gate; at least 90% must be)" in row.verdict
        )
        assert report.notes[-1].startswith("there is no gate for int8: all that was asked is that 90% of what was ")

    def test_is_what_differs_where_nothing_was_found_and_only_outputs_can_be_compared(self, tmp_path: Path) -> None:
        right = detector(tmp_path / "right", score=0.02, box=(30, 30, 10, 10))
        same = detector(tmp_path / "same", score=0.02, box=(30, 30, 10, 10))
        wrong = detector(tmp_path / "wrong", score=0.10, box=(5, 50, 40, 3))
        report = tune.tune(asking_detector(right, same, wrong, threads=1), QUICK)
        assert verdicts(report)["wrong"] == "disagrees"
        assert {verdicts(report)[name] for name in ("right", "same")} <= {"winner", "tied", "slower"}
        row = next(row for row in report.rows if row.package_id == "wrong")
        assert row.verdict.startswith("disagrees with the reference: output 'output0' differs by up to ")
        assert report.notes[-1] == (
            "the model found nothing on these pictures, so that only raw outputs could be compared; "
            "pass pictures of your own with --image"
        )

    def test_from_winning_is_what_cannot_be_compared(self, tmp_path: Path) -> None:
        row = self.odd(self.measured_beside(tmp_path, called="return np.zeros(3)"))
        assert row.status == "not judged"
        assert row.verdict.startswith("cannot win, its answers are not judged: it gives nothing that can be compared; ")

    def test_what_prints_and_reads_does_not_disturb(self, tmp_path: Path) -> None:
        odd = code(tmp_path / "odd", called="print('noise' * 100); sys.stdin.read()")
        report = tune.tune(asking(odd, consent_to=tmp_path / "odd"), QUICK)
        assert verdicts(report) == {"odd": "winner"}

    def test_everything_may_be_and_nothing_is_remembered_then(self, tmp_path: Path) -> None:
        asked = asking(code(tmp_path / "odd", called="os._exit(3)"), consent_to=tmp_path / "odd")
        report = tune.tune(asked, QUICK)
        assert (report.winner, report.remembered) == (None, False)
        assert not MeasurementStore().folder.exists()


class TestBudget:
    def test_is_a_bound_and_what_is_not_known_is_said(self, tmp_path: Path) -> None:
        packages = [classifier(tmp_path / f"p{number}") for number in range(6)]
        started = time.monotonic()
        report = tune.tune(asking(*packages, threads=1), TuneOptions(budget=2.5))
        assert time.monotonic() - started < 6
        missing = [row for row in report.rows if row.status == "not reached"]
        assert missing
        assert all(row.verdict.startswith("not measured: the budget of 2.5 s ended") for row in missing)
        assert report.notes[0].startswith(f"the budget of 2.5 s was too short: {len(missing)} of 6 settings were not ")

    def test_that_is_over_at_once_measures_nothing(self, tmp_path: Path) -> None:
        report = tune.tune(asking(classifier(tmp_path / "a"), threads=1), TuneOptions(budget=0.01))
        assert report.winner is None
        assert [row.status for row in report.rows] == ["not reached"]


class TestChildren:
    def test_see_no_secret_and_no_variable_of_ours(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("ROBOFLOW_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_PASSWORD", "HTTPS_PROXY"):
            monkeypatch.setenv(name, "canary-7d1e")
        seen = tmp_path / "seen.txt"
        what = f"open({str(seen)!r}, 'w').write(repr(dict(os.environ)) + repr(sys.argv))"
        odd = code(tmp_path / "odd", opened=what)
        tune.tune(asking(odd, consent_to=tmp_path / "odd"), QUICK)
        assert "canary" not in seen.read_text()
        assert "OFFLINE_MODE" in seen.read_text()

    def test_open_what_the_parent_would_open(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ONNXRUNTIME_EXECUTION_PROVIDERS", "[CPUExecutionProvider]")
        monkeypatch.delenv("INFERENCE_HOME")
        monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path / "cache"))
        assert child_environment()["ONNXRUNTIME_EXECUTION_PROVIDERS"] == "[CPUExecutionProvider]"
        assert child_environment()["INFERENCE_HOME"] == str(tmp_path / "cache")

    def test_are_ended_by_an_interruption(self, tmp_path: Path) -> None:
        def interrupt(text: str, share: float) -> None:
            if text.startswith("round"):
                raise KeyboardInterrupt

        asked = asking(classifier(tmp_path / "a"), classifier(tmp_path / "b"), threads=1)
        with pytest.raises(KeyboardInterrupt):
            tune.tune(asked, TuneOptions(budget=30, progress=interrupt))

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
    @pytest.mark.parametrize("cache", ["used", "read-only"])
    def test_leave_no_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str) -> None:
        (tmp_path / "temporary").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        home = Path(os.environ["INFERENCE_HOME"])
        if cache == "read-only":
            home.write_text("a file where the folder would be")
        report = tune.tune(asking(classifier(tmp_path / "a"), threads=1), QUICK)
        assert report.winner is not None
        assert list((tmp_path / "temporary").iterdir()) == []
        assert cache == "read-only" or list((home / "tmp").iterdir()) == []

    @pytest.mark.skipif(sys.platform != "linux", reason="asks the system for the life of a process")
    def test_and_files_of_a_measurement_that_was_ended_by_force_go(self, tmp_path: Path) -> None:
        classifier(tmp_path / "a")
        command = "import typer; from inference_models.cli.tune import tune; typer.run(tune)"
        arguments = [sys.executable, "-c", command, str(tmp_path / "a"), "--budget", "60s"]
        desks = Path(os.environ["INFERENCE_HOME"]) / "tmp"
        running = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 30
            while not list(desks.glob("*/job-*.json")) and time.monotonic() < until:
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
        tune.tune(asking(classifier(tmp_path / "a"), threads=1), TuneOptions(budget=30, progress=broken))


def test_a_process_that_cannot_be_started_is_told_of_the_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "none"))
    report = tune.tune(asking(classifier(tmp_path / "a"), threads=1), QUICK)
    assert [(row.status, row.verdict) for row in report.rows] == [
        ("failed", "its process could not be started: No such file or directory")
    ]


class TestRemembering:
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
        assert (kept.winner.package_id, kept.winner.runtime.value, kept.budget) == ("a", "onnx", 30)
        assert kept.table[0]["timing"]["calls"] > 0
        assert remembered_plan(asked.model, asked.source, asked.choice, asked.load, asked.memory) is not None

        assert json.loads(json.dumps(report.to_dict()))["schema_version"] == 1

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


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_child_that_waits_burns_no_processor(tmp_path: Path, runtime: str) -> None:
    """After a run, the threads of a runtime spin for a moment; then all of them sleep."""
    pytest.importorskip("onnxruntime" if runtime == "onnx" else runtime)
    package = classifier(tmp_path / "a", work=500)
    asked = asking(package)
    plan = selection.Plan(Candidate(package, BackendType(runtime)), threads=2)
    job = tmp_path / "job.json"
    job.write_text(Job(asked.model, plan, read_package_folder(tmp_path / "a"), asked.load).to_json())
    image = tmp_path / "image.npy"
    np.save(image, np.zeros((32, 32, 3), np.uint8))
    with Child(Limits(60)) as child:
        until = time.monotonic() + 30
        child.ask("opened", {"op": "open", "job": str(job), "images": [str(image)]}, deadline=until)
        child.ask("run", {"op": "run", "times": 20, "image": 0}, deadline=until)
        child.settle()
        before = processor_seconds(child.pid)
        time.sleep(1.0)
        assert processor_seconds(child.pid) - before <= 0.02


def is_living(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
