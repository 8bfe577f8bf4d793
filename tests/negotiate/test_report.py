"""Reports as data: the keys that others build on, and what they say."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.version import Version

from inference_models.entities import BackendType, MemoryProfile, ModelMetadata, ONNXPackageDetails
from inference_models.errors import NoModelPackagesAvailableError
from inference_models.machine.environment import Environment, Gpu
from inference_models.negotiate.choose import negotiate
from inference_models.negotiate.explain import make_report
from inference_models.negotiate.facts import as_plain
from inference_models.negotiate.report import NegotiationReport
from inference_models.negotiate.request import PackageRequest
from negotiate.negotiations import CATS, NOTHING, ONLY_ONNX, SCENES, report_of

KEYS = {
    "": {
        "download",
        "library_version",
        "machine",
        "model",
        "packages",
        "request",
        "schema_version",
        "skipped_packages",
        "steps",
        "would_run",
    },
    "model": {
        "architecture",
        "dependencies",
        "description",
        "license",
        "model_id",
        "provider",
        "source",
        "task",
        "variant",
    },
    "model.dependencies": {"model_id", "model_package_id", "name"},
    "would_run": {"backend", "execution_providers", "package_id", "reason", "threads"},
    "download": {"bytes", "files", "stored_bytes", "unsized_files"},
    "packages": {
        "admissible",
        "candidates",
        "details",
        "download",
        "dynamic_batch",
        "files",
        "format",
        "name",
        "package_id",
        "quantization",
        "static_batch",
        "trusted",
    },
    "packages.files": {"handle", "place", "sha256", "size"},
    "packages.download": {"bytes", "files", "stored_bytes", "unsized_files"},
    "packages.candidates": {"admissible", "backend", "native", "rank", "rejections"},
    "packages.candidates.rejections": {"check", "fix", "found", "needs"},
    "skipped_packages": {"package_id", "reason"},
    "steps": {"fixes", "makes_run"},
    "steps.makes_run": {"backend", "package_id"},
}
MACHINE = {
    "cpu_flags",
    "cpu_quota",
    "cpus",
    "cuda_version",
    "execution_providers",
    "gpus",
    "installed",
    "memory",
    "os_version",
    "python",
    "runtimes",
    "system",
}
REQUEST = {"allow_untrusted", "backends", "batch_size", "device", "package_id", "quantizations"}


@pytest.mark.parametrize("name", SCENES)
def test_a_report_is_one_json_object_with_the_documented_keys(name: str) -> None:
    read = json.loads(json.dumps(report_of(name).to_dict(), allow_nan=False))
    for path, keys in KEYS.items():
        for item in at(read, path):
            assert set(item) == keys
    assert set(read["machine"]) >= MACHINE
    assert set(read["request"]) >= REQUEST
    assert read["schema_version"] == 1


def report(
    request: PackageRequest, model: ModelMetadata = CATS, environment: Environment = ONLY_ONNX
) -> NegotiationReport:
    return make_report(negotiate(model, request, environment))


def at(value: object, path: str) -> list[dict[str, object]]:
    """Everything at a path of keys, through lists; what is null is left out."""
    found = [value]
    for key in filter(None, path.split(".")):
        found = [item for each in found for item in (each[key] if isinstance(each[key], list) else [each[key]])]
        found = [item for item in found if item is not None]
    return found


def test_every_package_and_every_runtime_that_reads_it_is_there() -> None:
    report = report_of("nothing-installed")
    assert {(item.package_id, item.backend) for item in report.candidates} == {
        ("a1f3", BackendType.TRT),
        ("7c20", BackendType.ONNX),
        ("7c20", BackendType.OPENVINO),
        ("9d11", BackendType.ONNX),
        ("9d11", BackendType.OPENVINO),
        ("e055", BackendType.TORCH_SCRIPT),
    }
    assert all(item.rejections for item in report.candidates)


def test_the_best_comes_first_and_ranks_count_what_would_run() -> None:
    report = report_of("everything-fits")
    assert [(item.package_id, item.backend.value, item.rank) for item in report.candidates] == [
        ("7c20", "onnx", 1),
        ("7c20", "openvino", 3),
        ("e055", "torch-script", 2),
    ]


def test_what_the_wishes_exclude_is_told_with_its_reason() -> None:
    told = report(PackageRequest(backends=frozenset({BackendType.TORCH_SCRIPT})))
    assert told.would_run is None
    checks = {item.backend: [reason.check for reason in item.rejections] for item in told.package("7c20").candidates}
    assert checks[BackendType.ONNX] == ["backend"]


def test_a_package_that_was_forced_runs_and_keeps_its_reasons() -> None:
    assert report(PackageRequest(package_id="7c20", device="cuda:0")).would_run is None
    forced = report(PackageRequest(package_id="7c20", device="cuda:0", force=True))
    assert forced.would_run.reason == "package id"
    assert forced.package("7c20").candidates[0].rejections
    assert "although it needs" in str(forced)


def test_a_package_is_found_by_its_id() -> None:
    report = report_of("only-onnxruntime")
    assert report.package("9d11").label == "onnx fp16"
    with pytest.raises(
        NoModelPackagesAvailableError, match=r"^model 'team/cats/3' has no package '9d1'; nearest: '9d11'"
    ):
        report.package("9d1")


def test_no_url_of_a_file_is_in_a_report() -> None:
    report = report_of("nothing-installed")
    assert "canary" not in json.dumps(report.to_dict()) + str(report) + repr(report)


def test_a_thousand_packages_are_told_in_a_screen() -> None:
    many = [replace(CATS.model_packages[0], package_id=f"{number:08x}") for number in range(1000)]
    text = str(report(PackageRequest(), replace(CATS, model_packages=many), NOTHING))
    assert len(text.splitlines()) < 30
    assert "trt fp16, like 999 more" in text


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (0.5, 0.5),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (Version("1.2.0"), "1.2.0"),
        (Path("a") / "b", "a/b"),
        (frozenset({BackendType.TRT, BackendType.ONNX}), ["onnx", "trt"]),
        ((BackendType.ONNX, ["x"]), ["onnx", ["x"]]),
        ({BackendType.ONNX: Version("1.0")}, {"onnx": "1.0"}),
        (ONNXPackageDetails(17), {"opset": 17, "incompatible_providers": None}),
        (MemoryProfile(peak_vram_mb={1: 512}), {"peak_vram_mb": {"1": 512}}),
        (Gpu(name="L4", memory=24), {"name": "L4", "compute_capability": None, "memory": 24}),
    ],
)
def test_facts_are_plain_values(value: object, plain: object) -> None:
    assert as_plain(value) == plain
    assert json.loads(json.dumps(as_plain(value), allow_nan=False)) == plain
