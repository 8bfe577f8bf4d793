"""`AutoModel.explain` tells what a load would do, and does none of it."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import graphs
import hosted
from inference_models import AutoModel, NegotiationReport
from inference_models.backends import find_backend, probe_environment
from inference_models.entities import BackendType, ModelDependency
from inference_models.errors import (
    AmbiguousModelPackageResolutionError,
    InvalidParameterError,
    MissingParityCertificateError,
    ModelNotFoundError,
    NoCompatiblePackageError,
    NoModelPackagesAvailableError,
    RetryError,
    UnknownOptionError,
)
from inference_models.machine.environment import Environment
from inference_models.negotiate.case import Plan
from inference_models.negotiate.choose import Choice
from inference_models.negotiate.request import PackageRequest
from inference_models.options import LoadOptions
from inference_models.parity.check import ParityOptions, check_parity
from inference_models.parity.images import probe_set
from negotiate.negotiations import NOTHING, ONLY_ONNX


@pytest.fixture(autouse=True)
def _only_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    set_machine(monkeypatch, ONLY_ONNX)


def set_machine(monkeypatch: pytest.MonkeyPatch, environment: Environment) -> None:
    monkeypatch.setattr("inference_models.backends.probe_environment", lambda thorough=False: environment)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    """Has `team/cats/1`, also known as `cats`."""
    made = hosted.Hosted()
    made.add("team/cats/1", hosted.detector_files(tmp_path / "made"), asked_for="cats")
    hosted.install(monkeypatch, {"host": made})
    return made


def explained(**wishes: object) -> NegotiationReport:
    return AutoModel.explain("host:cats", **wishes)


def load(**wishes: object) -> None:
    AutoModel.from_pretrained("host:cats", **wishes).close()


def stored_paths() -> dict[Path, int]:
    root = Path(os.environ["INFERENCE_HOME"])
    return {path: path.stat().st_mtime_ns for path in root.rglob("*")}


class TestNothingIsDone:
    def test_no_byte_is_asked_for_and_nothing_written(self, host: hosted.Hosted) -> None:
        report = explained()
        assert (host.described, host.read_files) == (["cats"], [])
        assert not Path(os.environ["INFERENCE_HOME"]).exists()
        assert (report.would_run.package_id, report.would_run.backend, report.would_run.reason) == (
            "p1",
            BackendType.ONNX,
            "order",
        )

    def test_nor_when_everything_is_stored_and_remembered(self, host: hosted.Hosted) -> None:
        load()
        before, read = stored_paths(), list(host.read_files)
        explained()
        assert (stored_paths(), host.read_files) == (before, read)

    def test_a_remembered_answer_that_is_damaged_stays_for_the_load_to_mend(self, host: hosted.Hosted) -> None:
        load()
        for path in Path(os.environ["INFERENCE_HOME"]).glob("resolutions/*/*.json"):
            path.write_text("damaged")
        before = stored_paths()
        assert explained().would_run.reason == "order"
        assert stored_paths() == before


class TestWhatWouldRun:
    def test_the_package_of_an_earlier_load_is_remembered(self, host: hosted.Hosted) -> None:
        load()
        assert explained().would_run.reason == "remembered"
        assert explained(use_auto_resolution_cache=False).would_run.reason == "order"
        assert explained(quantization="fp32").would_run.reason == "order"

    def test_the_remembered_package_wins_over_a_better_one_as_it_does_in_a_load(
        self, host: hosted.Hosted, tmp_path: Path
    ) -> None:
        load()
        host.add("team/cats/1", hosted.detector_files(tmp_path / "x", score=0.7), asked_for="cats", package_id="a0")
        report = explained()
        assert (report.would_run.package_id, report.would_run.reason) == ("p1", "remembered")
        assert [package.package_id for package in report.packages] == ["a0", "p1"]
        assert AutoModel.from_pretrained("host:cats").resolved_model.model_package_id == "p1"

    def test_a_package_that_was_named_is_named_as_the_reason(self, host: hosted.Hosted) -> None:
        assert explained(model_package_id="p1").would_run.reason == "package id"

    def test_a_load_that_would_measure_says_so(self, host: hosted.Hosted) -> None:
        report = explained(select="measured")
        assert report.would_run.reason == "unmeasured"
        assert "the best in the declared order; all that fit would be measured first" in " ".join(str(report).split())

    def test_nothing_is_said_and_not_raised(self, host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
        set_machine(monkeypatch, NOTHING)
        report = explained()
        assert report.would_run is None
        assert report.download is None
        assert 'pip install "onnxruntime>=1.19"' in report.steps[0].fixes

    def test_a_model_without_packages_is_told_too(self, host: hosted.Hosted) -> None:
        host.models["cats"] = replace(host.models["cats"], model_packages=[])
        report = explained()
        assert report.would_run is None
        assert str(report).startswith("team/cats/1: the provider has no package that this release can read.\n")


class TestDownload:
    def test_announced_sizes_are_added(self, host: hosted.Hosted) -> None:
        sizes = [item.size for item in host.models["cats"].model_packages[0].package_artefacts]
        download = explained().download
        assert (download.files, download.bytes, download.stored_bytes) == (4, sum(sizes), 0)

    def test_what_is_stored_need_not_be_fetched(self, host: hosted.Hosted) -> None:
        load()
        sizes = [item.size for item in host.models["cats"].model_packages[0].package_artefacts]
        download = explained().download
        assert (download.files, download.bytes, download.stored_bytes) == (0, 0, sum(sizes))

    def test_sizes_nobody_states_are_counted_as_such(self, host: hosted.Hosted) -> None:
        model = host.models["cats"]
        package = model.model_packages[0]
        unsized = [replace(item, size=None) for item in package.package_artefacts]
        host.models["cats"] = replace(model, model_packages=[replace(package, package_artefacts=unsized)])
        download = explained().download
        assert (download.files, download.bytes, download.unsized_files) == (4, 0, 4)

    def test_files_of_the_user_are_used_where_they_lie(self, tmp_path: Path) -> None:
        path = graphs.constant_outputs(tmp_path / "a.onnx", size=(64, 64), outputs={"output0": hosted.ROWS})
        report = AutoModel.explain(path, labels=["a", "b"], model_type="yolov8")
        assert report.download.files == 0
        assert report.download.stored_bytes == path.stat().st_size
        assert report.model.provider == "local"


class TestWithoutNetwork:
    def test_what_is_here_runs_and_the_rest_needs_the_network(
        self, host: hosted.Hosted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host.add("team/cats/1", hosted.detector_files(tmp_path / "x", score=0.7), asked_for="cats", package_id="a0")
        load(model_package_id="p1")
        monkeypatch.setenv("OFFLINE_MODE", "true")
        report = explained()
        assert host.described == ["cats"]
        assert report.would_run.package_id == "p1"
        (reason,) = report.package("a0").candidates[0].rejections
        assert (reason.check, reason.found, reason.fix) == ("network", "OFFLINE_MODE is set", "unset OFFLINE_MODE")
        assert reason.needs.startswith("the network, to fetch ")

    def test_a_catalogue_model_that_is_not_here_says_what_to_unset(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        report = AutoModel.explain("centerface", backend="onnx")
        assert report.would_run is None
        assert report.steps[0].fixes == ("unset HF_HUB_OFFLINE",)

    def test_what_nobody_remembers_is_the_error_of_the_provider(self, host: hosted.Hosted) -> None:
        host.down = True
        with pytest.raises(RetryError, match=r"^the server does not answer\.$"):
            explained()

    def test_a_provider_that_does_not_answer_is_replaced_by_what_is_remembered(self, host: hosted.Hosted) -> None:
        load()
        host.down = True
        assert explained().would_run.reason == "remembered"


class TestCode:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "model.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
        (tmp_path / "model_config.json").write_text(json.dumps({"model_module": "model.py", "model_class": "Mine"}))
        return tmp_path

    def test_code_of_a_package_needs_consent_and_never_runs(self, folder: Path) -> None:
        report = AutoModel.explain(folder)
        (reason,) = report.rejections
        assert (reason.check, reason.needs, reason.found) == ("consent", "your consent to the code it brings", "none")
        assert report.would_run is None
        assert AutoModel.explain(folder, allow_local_code_packages=True).would_run is None
        assert not (folder / "ran").exists()

    def test_with_a_digest_it_would_run(self, folder: Path) -> None:
        report = AutoModel.explain(folder, allow_local_code_packages="sha256:" + "0" * 64, its_own_option=3)
        assert report.would_run.backend is BackendType.CUSTOM
        assert not (folder / "ran").exists()


class TestParity:
    VERSION = find_backend(BackendType.ONNX).RUNTIME.installed_version()

    @pytest.fixture(autouse=True)
    def _on_this_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("inference_models.backends.probe_environment", probe_environment)

    def report(self, model: object = "host:cats", **wishes: object) -> NegotiationReport:
        return AutoModel.explain(model, **{"backend": "onnx", "require_parity": True, **wishes})

    def certify(self) -> list[Path]:
        request = PackageRequest(backends=(BackendType.ONNX,))
        report = check_parity("host:cats", ParityOptions(request=request, images=probe_set(1)))
        return [row.file for row in report.rows]

    def test_without_a_certificate_nothing_would_run_and_the_reason_is_that_of_the_load(
        self, host: hosted.Hosted
    ) -> None:
        for known in (False, True):  # before it is fetched, and after
            report = self.report()
            (reason,) = report.package("p1").candidates[0].rejections
            assert report.would_run is None
            assert (reason.check, reason.needs, reason.found, reason.fix) == (
                "parity",
                f"a parity certificate of these files in ONNX Runtime {self.VERSION} on cpu",
                "none",
                "inference-models parity host:cats",
            )
            if not known:
                assert host.read_files == []
                with pytest.raises(MissingParityCertificateError) as caught:
                    load(backend="onnx", require_parity=True)
                assert (caught.value.needs, caught.value.found, caught.value.fix) == (
                    reason.needs,
                    reason.found,
                    reason.fix,
                )

    def test_with_one_it_would_run_and_nothing_is_said_where_none_is_asked_for(self, host: hosted.Hosted) -> None:
        assert self.report(require_parity=False).would_run.package_id == "p1"
        self.certify()
        before = list(host.read_files)
        assert self.report().would_run.package_id == "p1"
        assert host.read_files == before

    def test_the_next_package_that_has_one_would_run(self, host: hosted.Hosted, tmp_path: Path) -> None:
        host.add("team/cats/1", hosted.detector_files(tmp_path / "made"), asked_for="cats", package_id="a0")
        first, second = self.certify()
        assert self.report().would_run.package_id == "a0"
        first.unlink()
        assert self.report().would_run.package_id == "p1"
        (reason,) = self.report().package("a0").candidates[0].rejections
        assert reason.check == "parity"
        assert second.is_file()

    def test_a_file_of_the_user_is_looked_at_where_it_lies(self, tmp_path: Path) -> None:
        path = graphs.constant_outputs(tmp_path / "a.onnx", size=(64, 64), outputs={"output0": hosted.ROWS})
        stated = {"labels": ["a", "b"], "model_type": "yolov8"}
        assert self.report(path, **stated).would_run is None
        request = PackageRequest(backends=(BackendType.ONNX,))
        check_parity(path, ParityOptions(request=request, images=probe_set(1), load=LoadOptions(**stated)))
        assert self.report(path, **stated).would_run.package_id == "local"

    def test_settings_that_were_measured_fastest_are_held_to_it(
        self, host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def remembered(model: object, source: object, choice: Choice, *rest: object) -> Plan:
            return Plan(choice.admissible[0], execution_providers=("AzureExecutionProvider", "CPUExecutionProvider"))

        self.certify()
        monkeypatch.setattr("inference_models.reports.remembered_plan", remembered)
        (reason,) = self.report().package("p1").candidates[0].rejections
        assert (reason.check, reason.found) == ("parity", "one of CPUExecutionProvider")


class TestErrors:
    def test_an_unknown_model_is_the_error_of_a_load(self, host: hosted.Hosted) -> None:
        with pytest.raises(ModelNotFoundError):
            AutoModel.explain("host:dogs")

    def test_wishes_that_make_no_sense_are_refused_as_in_a_load(self, host: hosted.Hosted) -> None:
        with pytest.raises(InvalidParameterError):
            explained(device="gpu3")
        with pytest.raises(UnknownOptionError, match=r"nearest: '?device"):
            explained(devise="cpu")

    def test_an_unknown_package_names_the_nearest(self, host: hosted.Hosted) -> None:
        text = r"^model 'team/cats/1' has no package 'p11'; nearest: 'p1'\."
        with pytest.raises(NoModelPackagesAvailableError, match=text):
            explained(model_package_id="p11")
        with pytest.raises(NoModelPackagesAvailableError, match=text):
            AutoModel.describe_model_package("host:cats", "p11")

    def test_an_id_of_two_packages_is_an_error_only_when_asked_for(self, host: hosted.Hosted, tmp_path: Path) -> None:
        host.add("team/cats/1", hosted.detector_files(tmp_path / "x"), asked_for="cats", package_id="p1")
        assert [package.package_id for package in explained().packages] == ["p1", "p1"]
        with pytest.raises(AmbiguousModelPackageResolutionError):
            explained(model_package_id="p1")


class TestOneObject:
    def test_error_report_and_log_have_the_same_reasons(
        self, host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        set_machine(monkeypatch, NOTHING)
        with pytest.raises(NoCompatiblePackageError) as caught:
            load()
        report = explained()
        assert set(report.rejections) == set(caught.value.rejections)
        assert set(str(caught.value).splitlines()) <= set(str(report).splitlines())

    def test_verbose_is_one_message_on_the_log(
        self, host: hosted.Hosted, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        host.add(
            "team/cats/1",
            hosted.detector_files(tmp_path / "x"),
            asked_for="cats",
            package_id="t4",
            backend=BackendType.TRT,
        )
        with caplog.at_level(logging.INFO, logger="inference-models"):
            load(verbose=True, backend="onnx")
        first = next(record.getMessage() for record in caplog.records if "would run" in record.getMessage())
        assert first.splitlines()[:6] == [
            "team/cats/1: 1 of 2 packages can run here.",
            "",
            f"  this machine   {ONLY_ONNX.describe()}",
            "  you asked for  backend onnx, any quantization, device=auto",
            "  would run      weights.onnx of p1 (fp32) in ONNX Runtime: the best in the declared order",
            "",
        ]

    def test_nothing_is_said_unless_asked(self, host: hosted.Hosted, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, logger="inference-models"):
            load()
        assert caplog.records == []


class TestSecrets:
    def test_no_signature_of_a_url_and_no_key_is_in_the_report(self, host: hosted.Hosted) -> None:
        model = host.models["cats"]
        needed = [ModelDependency(name="inner", model_id="https://x/m.json?token=canary#id")]
        host.models["cats"] = replace(model, model_id="https://x/m.json?token=canary#cats", model_dependencies=needed)
        report = AutoModel.explain("host:cats", api_key="canary-key")
        for text in (json.dumps(report.to_dict()), str(report), repr(report)):
            assert "canary" not in text
            assert "X-Signature" not in text
        assert report.model.model_id == "https://x/m.json#cats"


def test_describe_model_prints_the_report(host: hosted.Hosted, capsys: pytest.CaptureFixture[str]) -> None:
    AutoModel.describe_model("host:cats", pull_artefacts_size=True)
    out = capsys.readouterr().out
    assert out.startswith("team/cats/1: 1 of 1 package can run here.\n")
    assert "  licence        MIT\n" in out


def test_describe_model_package_prints_its_files(host: hosted.Hosted, capsys: pytest.CaptureFixture[str]) -> None:
    AutoModel.describe_model_package("host:cats", "p1", weights_provider_extra_headers={"x": "y"})
    out = capsys.readouterr().out
    assert out.startswith("package p1 of team/cats/1: onnx fp32, dynamic batch, ")
    assert "\n  files          weights.onnx           " in out


def test_what_is_explained_is_what_runs(host: hosted.Hosted) -> None:
    expected = explained().would_run
    with AutoModel.from_pretrained("host:cats") as model:
        model(np.zeros((64, 64, 3), np.uint8))
        assert (model.resolved_model.model_package_id, model.resolved_model.backend) == (
            expected.package_id,
            expected.backend.value,
        )


def test_what_was_measured_fastest_wins_with_its_settings(host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    def remembered(model: object, source: object, choice: Choice, *rest: object) -> Plan:
        return Plan(choice.admissible[0], threads=1, execution_providers=("CPUExecutionProvider",))

    monkeypatch.setattr("inference_models.reports.remembered_plan", remembered)
    report = explained(select="measured")
    assert report.to_dict()["would_run"] == {
        "package_id": "p1",
        "backend": "onnx",
        "reason": "measured",
        "threads": 1,
        "execution_providers": ["CPUExecutionProvider"],
    }
    what = "weights.onnx of p1 (fp32) in ONNX Runtime, 1 thread, CPUExecutionProvider"
    assert f" would run {what}: the fastest measured on this machine " in " ".join(str(report).split())
