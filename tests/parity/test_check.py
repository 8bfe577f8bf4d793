"""Real packages in real runtimes: equal ones pass, and wrong ones fail with a line that says why."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec import structs

import graphs
import hosted
from inference_models.backends import find_backend
from inference_models.entities import BackendType, Quantization
from inference_models.errors import (
    BaseInferenceModelsError,
    CorruptedModelPackageError,
    InvalidParameterError,
    ModelInputError,
)
from inference_models.negotiate.request import PackageRequest
from inference_models.options import LoadOptions
from inference_models.parity import check
from inference_models.parity.check import ParityOptions, check_parity
from inference_models.parity.images import ImageSet, file_set, probe_set
from inference_models.parity.report import ParityReport, ParityRow, verdict_of
from parity import packages
from parity.packages import read_certificate, write_certificate

if TYPE_CHECKING:
    from collections.abc import Callable

ONNX_ONLY = PackageRequest(backends=(BackendType.ONNX,), quantizations=frozenset(Quantization))
MODEL = "host:m"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> hosted.Hosted:
    made = hosted.Hosted()
    hosted.install(monkeypatch, {"host": made})
    return made


@pytest.fixture
def weights(tmp_path: Path) -> bytes:
    return packages.detector(tmp_path / "made" / "weights.onnx")


def compare(**options: Any) -> ParityReport:
    return check_parity(MODEL, ParityOptions(**{"request": ONNX_ONLY, **options}))


def row_of(report: ParityReport, package_id: str, runtime: str = "onnx") -> ParityRow:
    (found,) = [row for row in report.rows if (row.package_id, row.runtime) == (package_id, runtime)]
    return found


def test_two_equal_packages_pass_and_the_reference_is_named(host: hosted.Hosted, weights: bytes) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")
    host.add("m", packages.as_files(weights), package_id="b2")
    report = compare()
    assert report.passed
    assert (report.reference, report.reason) == (
        "weights.onnx of a1 (fp32) in ONNX Runtime, cpu",
        "the first fp32 package on ONNX Runtime, on the CPU",
    )
    assert [verdict_of(row) for row in report.rows] == [
        "reference",
        "passed: 36 of 36 objects matched, boxes within 0 px, scores within 0, outputs within 0",
    ]


@pytest.mark.parametrize(
    ("wrong", "verdict"),
    [
        (
            packages.swapped_channels,
            (
                "failed: 3 of 38 objects have no partner (allowed: none); "
                "2 objects have another class in the same place; scores differ by up to 0.1775 (allowed: 0.001)"
            ),
        ),
        (packages.shifted_boxes(0.5), "failed: boxes differ by up to 7.50 px (allowed: 0.5)"),
        (
            packages.shifted_boxes(3),
            "failed: 72 of 72 objects have no partner (allowed: none); boxes differ by up to 45.00 px (allowed: 0.5)",
        ),
        (
            packages.not_a_number,
            (
                "failed: output 'output0' holds 288 numbers that are not finite; "
                "36 of 36 objects have no partner (allowed: none)"
            ),
        ),
    ],
)
def test_a_wrong_package_fails_and_one_line_says_why(
    host: hosted.Hosted, weights: bytes, wrong: Callable[[bytes], bytes], verdict: str
) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")
    host.add("m", packages.as_files(wrong(weights)), package_id="b2")
    report = compare()
    assert verdict_of(row_of(report, "b2")) == verdict
    assert not report.passed
    assert row_of(report, "b2").certificate.passed is False


def test_two_runtimes_on_one_package_are_compared(host: hosted.Hosted, weights: bytes) -> None:
    if not _has_openvino():
        pytest.skip("OpenVINO is not installed")
    host.add("m", packages.as_files(weights), package_id="a1")
    report = compare(request=PackageRequest(device="cpu"))
    row = row_of(report, "a1", "openvino")
    assert row.passed
    assert row.certificate.subject.runtime_version == str(
        find_backend(BackendType.OPENVINO).RUNTIME.installed_version()
    )
    assert row.certificate.deviation.matched == 36
    # OpenVINO 2026.4 and ONNX Runtime 1.32 add up in another order.
    assert row.certificate.deviation.max_score < 1e-5


def _has_openvino() -> bool:
    backend = find_backend(BackendType.OPENVINO)
    return backend is not None and backend.RUNTIME.installed_version() is not None


def test_a_catalogue_model_passes_in_every_runtime(pplcnet_onnx: Path, catalogue_home: Path) -> None:
    report = check_parity("pplcnet-page-orientation")
    assert report.passed
    assert report.rows[0].certificate.is_reference
    for row in report.rows[1:]:
        assert row.certificate.deviation.classified == 16
        assert row.certificate.deviation.top1_flips == 0
    for row in report.rows:
        row.file.unlink()


def yolox_files(shared_data: Path, change: Callable[[bytes], bytes] = bytes) -> dict[str, bytes]:
    stated = {"model_architecture": "yolox", "task_type": "object-detection", "backend_type": "onnx"}
    return {
        "weights.onnx": change((shared_data / "yolox_nano.onnx").read_bytes()),
        "class_names.txt": (shared_data / "coco.names").read_bytes(),
        "model_config.json": json.dumps(stated).encode(),
    }


@pytest.mark.slow
def test_real_weights_on_photographs_pass_and_their_wrong_versions_fail(host: hosted.Hosted, shared_data: Path) -> None:
    host.add("m", yolox_files(shared_data), package_id="a1", model_architecture="yolox")
    for name, change in (
        ("half", packages.half_weights),
        ("shifted", packages.shifted_boxes(0.1, axis=2)),
        ("swapped", packages.swapped_channels),
    ):
        host.add("m", yolox_files(shared_data, change), package_id=name, model_architecture="yolox")
    half = yolox_files(shared_data, packages.half_weights)
    host.add("m", half, package_id="fp16", quantization=Quantization.FP16, model_architecture="yolox")
    photos = sorted((shared_data / "coco128" / "images").glob("*.jpg"))[:20]
    request = PackageRequest(quantizations=frozenset(Quantization), device="cpu")
    report = compare(images=file_set(photos), request=request)
    for row in report.rows[1:]:
        violations = " ".join(row.certificate.violations)
        if row.package_id in {"a1", "fp16"}:
            assert row.passed, verdict_of(row)
        elif row.package_id == "half":
            assert "scores differ by up to 0.006" in violations
        elif row.package_id == "shifted":
            assert "boxes differ by up to " in violations
        else:
            assert "objects have no partner (allowed: none)" in violations
    assert row_of(report, "fp16").certificate.gate.score == 0.01
    assert row_of(report, "a1").certificate.deviation is None  # the reference itself
    assert (report.images.kind, report.images.count) == ("files", 20)


def test_where_nothing_is_found_raw_outputs_decide_and_that_is_said(host: hosted.Hosted, tmp_path: Path) -> None:
    blind = packages.detector(tmp_path / "weights.onnx", least=-2.0)
    host.add("m", packages.as_files(blind), package_id="a1")
    host.add("m", packages.as_files(blind), package_id="b2")
    host.add("m", packages.as_files(packages.shifted_boxes(0.5)(blind)), package_id="c3")
    report = compare()
    note = "no object above 0.3 on the probe images: only raw outputs were compared"
    assert row_of(report, "b2").notes == row_of(report, "c3").notes == (note,)
    assert verdict_of(row_of(report, "b2")) == "passed: outputs within 0"
    assert verdict_of(row_of(report, "c3")) == (
        "failed: output 'output0' differs by up to 0.01 of its largest magnitude (allowed: 0.001)"
    )


def test_another_network_size_leaves_nothing_but_answers_to_compare(host: hosted.Hosted, tmp_path: Path) -> None:
    for number, size in enumerate((64, 32)):
        rows = hosted.ROWS * size / 64
        rows[:, 4:] = hosted.ROWS[:, 4:]
        path = graphs.constant_outputs(tmp_path / f"{size}.onnx", size=(size, size), outputs={"output0": rows})
        files = packages.as_files(path.read_bytes())
        config = json.loads(files["inference_config.json"])
        config["network_input"]["training_input_size"] = {"height": size, "width": size}
        host.add("m", {**files, "inference_config.json": json.dumps(config).encode()}, package_id=f"a{number}")
    square = ImageSet("files", (np.full((320, 320, 3), 99, np.uint8),), "grey")
    row = row_of(compare(images=square), "a1")
    assert row.notes == (
        "raw outputs were not compared: the network takes (1, 3, 32, 32), that of the reference (1, 3, 64, 64)",
    )
    assert verdict_of(row).startswith("passed: 1 of 1 objects matched")


def test_a_package_that_does_not_open_is_a_line_and_its_old_certificate_is_withdrawn(
    host: hosted.Hosted, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")
    host.add("m", packages.as_files(weights), package_id="b2")
    before = row_of(compare(), "b2")
    assert before.file.is_file()
    load_package = check.load_package

    def fail(model: Any, candidate: Any, *rest: Any) -> Any:
        if candidate.package.package_id == "b2":
            raise CorruptedModelPackageError("weights.onnx is no graph.", needs="a graph", found="rubbish")
        return load_package(model, candidate, *rest)

    monkeypatch.setattr(check, "load_package", fail)
    report = compare()
    assert verdict_of(row_of(report, "b2")) == "not compared: weights.onnx is no graph (needs a graph; found: rubbish)"
    assert not report.passed
    assert not before.file.exists()


def test_where_the_first_reference_does_not_open_the_next_one_is_taken(host: hosted.Hosted, weights: bytes) -> None:
    host.add("m", packages.as_files(weights[:-40]), package_id="a1")
    host.add("m", packages.as_files(weights), package_id="b2")
    host.add("m", packages.as_files(weights), package_id="c3")
    report = compare()
    assert report.reference == "weights.onnx of b2 (fp32) in ONNX Runtime, cpu"
    assert [(row.package_id, row.passed) for row in report.rows] == [("b2", True), ("a1", False), ("c3", True)]


def test_only_one_package_is_open_at_a_time(
    host: hosted.Hosted, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a1", "b2", "c3"):
        host.add("m", packages.as_files(weights), package_id=name)
    load_package = check.load_package
    opened: list[Any] = []

    def load(*arguments: Any) -> Any:
        for model in opened:
            with pytest.raises(BaseInferenceModelsError, match="the model was closed"):
                model(np.zeros((8, 8, 3), np.uint8))
        opened.append(load_package(*arguments))
        return opened[-1]

    monkeypatch.setattr(check, "load_package", load)
    assert compare(images=probe_set(1)).passed
    assert len(opened) == 3


def test_int8_has_no_gate_and_its_numbers_are_stated(host: hosted.Hosted, weights: bytes) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")
    changed = packages.as_files(packages.shifted_boxes(0.1)(weights))
    host.add("m", changed, package_id="b2", quantization=Quantization.INT8)
    report = compare()
    row = row_of(report, "b2")
    assert verdict_of(row).startswith("no gate for int8: 36 of 36 objects matched, boxes within 1.5 px")
    assert (row.passed, report.passed) == (False, True)  # nothing is promised, and nothing is wrong


def test_the_reference_can_be_named(host: hosted.Hosted, weights: bytes) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")
    host.add("m", packages.as_files(weights), package_id="b2")
    for name in ("b2", "b2/onnx"):
        report = compare(reference=name, images=probe_set(1))
        assert (report.reference, report.reason) == ("weights.onnx of b2 (fp32) in ONNX Runtime, cpu", "as asked for")
        assert [row.package_id for row in report.rows] == ["b2", "a1"]


NAMED = "no certificate is written for it: it was named, and nothing but its own answers vouches for it"


def test_a_reference_that_was_named_vouches_for_nobody_but_what_it_is_compared_with(
    host: hosted.Hosted, weights: bytes
) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")
    host.add("m", packages.as_files(weights), package_id="b2")
    report = compare(reference="b2", images=probe_set(1))
    reference, other = report.rows
    assert (verdict_of(reference), reference.notes, reference.file) == ("reference", (NAMED,), None)
    assert (reference.passed, reference.certificate.passed, other.passed) == (False, False, True)
    assert report.passed  # nothing was found that is wrong


def test_what_failed_is_not_vouched_for_by_being_named_as_the_reference(host: hosted.Hosted, weights: bytes) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")
    host.add("m", packages.as_files(packages.shifted_boxes(0.5)(weights)), package_id="b2")
    file = row_of(compare(images=probe_set(1)), "b2").file
    failed = file.read_bytes()
    report = compare(reference="b2", images=probe_set(1))
    assert row_of(report, "b2").notes == (NAMED,)
    assert file.read_bytes() == failed
    assert row_of(report, "a1").certificate.passed is False


def test_what_failed_is_not_vouched_for_by_being_the_default_reference_either(
    host: hosted.Hosted, weights: bytes
) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")
    host.add("m", packages.as_files(packages.shifted_boxes(0.5)(weights)), package_id="b2")
    file = row_of(compare(reference="b2", images=probe_set(1)), "a1").file
    failed = file.read_bytes()
    report = compare(images=probe_set(1))
    row = row_of(report, "a1")
    assert (verdict_of(row), row.passed, row.file) == ("reference", False, None)
    (note,) = row.notes
    assert note == (
        "no certificate is written for it: one says that it failed against package b2 (onnx fp32) in ONNX Runtime; "
        f"compare it with a package that you trust (--reference), or remove {file}"
    )
    assert file.read_bytes() == failed
    assert not row_of(report, "b2").passed
    file.unlink()
    assert row_of(compare(images=probe_set(1)), "a1").passed


def test_a_failure_in_another_version_says_nothing_about_this_one(host: hosted.Hosted, weights: bytes) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")
    host.add("m", packages.as_files(packages.shifted_boxes(0.5)(weights)), package_id="b2")
    file = row_of(compare(reference="b2", images=probe_set(1)), "a1").file
    old = read_certificate(file)
    old = structs.replace(old, subject=structs.replace(old.subject, runtime_version="1.0"))
    write_certificate(file, old)
    assert row_of(compare(images=probe_set(1)), "a1").passed


def test_a_reference_that_was_named_and_answers_rubbish_gets_a_failed_certificate(
    host: hosted.Hosted, weights: bytes
) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")
    host.add("m", packages.as_files(packages.not_a_number(weights)), package_id="b2")
    report = compare(reference="b2", images=probe_set(1))
    row = row_of(report, "b2")
    assert verdict_of(row) == "failed: output 'output0' holds 18 numbers that are not finite"
    assert read_certificate(row.file).passed is False
    assert not report.passed


def test_a_reference_that_is_no_candidate_is_refused(host: hosted.Hosted, weights: bytes) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")
    with pytest.raises(InvalidParameterError) as caught:
        compare(reference="a1/trt", request=replace(ONNX_ONLY, backends=None))
    lines = str(caught.value).split("\n")
    assert lines[0] == "--reference 'a1/trt' is none of the packages that can run here."
    assert lines[1].startswith("needs a1/onnx")
    assert lines[1].endswith("; found: 'a1/trt'")


def test_the_reference_need_not_be_among_what_is_compared(host: hosted.Hosted, weights: bytes) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")
    host.add("m", packages.as_files(weights), package_id="b2", quantization=Quantization.FP16)
    report = compare(request=replace(ONNX_ONLY, quantizations=frozenset({Quantization.FP16})), images=probe_set(2))
    assert [row.label for row in report.rows] == [
        "weights.onnx of a1 (fp32) in ONNX Runtime",
        "weights.onnx of b2 (fp16) in ONNX Runtime",
    ]


def test_classifiers_are_compared_by_class_and_score(host: hosted.Hosted, tmp_path: Path) -> None:
    plain = packages.classifier(tmp_path / "weights.onnx")
    facts = {"model_architecture": "resnet", "task_type": "classification"}
    host.add("m", packages.as_classifier_files(plain), package_id="a1", **facts)
    host.add("m", packages.as_classifier_files(plain), package_id="b2", **facts)
    host.add("m", packages.as_classifier_files(packages.swapped_channels(plain)), package_id="c3", **facts)
    report = compare()
    assert verdict_of(row_of(report, "b2")) == (
        "passed: 16 of 16 images classified alike, scores within 0, outputs within 0"
    )
    verdict = verdict_of(row_of(report, "c3"))
    assert verdict.startswith("failed: scores differ by up to 0.")
    assert "the best class is another one on" in verdict


def test_a_bare_file_is_compared_by_what_the_caller_says_of_it(weights: bytes, tmp_path: Path) -> None:
    path = tmp_path / "best.onnx"
    path.write_bytes(weights)
    options = ParityOptions(
        request=ONNX_ONLY, load=LoadOptions(labels=["cat", "dog"], model_type="yolov8"), images=probe_set(2)
    )
    report = check_parity(path, options)
    assert report.reason.startswith("the first fp32 package")
    assert report.rows[0].file.parent.name == "local"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["best.onnx", "inference-home", "made"]


def test_an_image_that_cannot_be_read_is_named(host: hosted.Hosted, weights: bytes, tmp_path: Path) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(ModelInputError, match=r"bad\.jpg"):
        compare(images=file_set([tmp_path / "bad.jpg"]))


def test_certificates_lie_beside_the_packages(host: hosted.Hosted, weights: bytes) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")
    (row,) = compare(images=probe_set(1)).rows
    root = row.file.parents[2]
    assert row.file.name == "a1.onnx.cpu.json"
    assert (root / "packages" / row.file.parent.name / "a1" / "weights.onnx").is_file()
    assert read_certificate(row.file) == row.certificate


def test_a_cache_that_cannot_be_written_to_costs_the_certificate_and_not_the_report(
    host: hosted.Hosted, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.add("m", packages.as_files(weights), package_id="a1")

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("inference_models.cache.facts.make_folder", refuse)
    (row,) = compare(images=probe_set(1)).rows
    assert (row.file, row.passed) == (None, True)
    assert row.notes == ("the certificate was not kept: Read-only file system",)


def test_progress_is_told_before_each_package(host: hosted.Hosted, weights: bytes) -> None:
    for name in ("a1", "b2"):
        host.add("m", packages.as_files(weights), package_id=name)
    told: list[str] = []
    check_parity(MODEL, ParityOptions(request=ONNX_ONLY, images=probe_set(1)), progress=told.append)
    assert told == ["weights.onnx of a1 (fp32) in ONNX Runtime", "weights.onnx of b2 (fp32) in ONNX Runtime"]
