from __future__ import annotations

from dataclasses import replace

import pytest

from inference_models.backends import known_runtimes
from inference_models.entities import BackendType, ONNXPackageDetails, Quantization, TRTPackageDetails
from inference_models.negotiate.case import Candidate, Case, candidates_of
from inference_models.negotiate.choose import RANKING, rank, ranked
from inference_models.negotiate.nms_fusion import NmsPreferences
from inference_models.negotiate.request import PackageRequest
from negotiate.packages import (
    BUILT_ON,
    BUILT_ON_JETSON,
    FUSED,
    JETSON,
    L4,
    MACHINE,
    SERVER,
    T4,
    V,
    engine,
    model,
    package,
)


def order(*packages, request=None, machine=MACHINE):
    """Ids, best first, of packages with their own runtimes."""
    described = model(*packages)
    cases = [Case(described, Candidate(item, item.backend), request or PackageRequest(), machine) for item in packages]
    return [candidate.package.package_id for candidate in ranked(cases)]


def test_the_order_of_runtimes_is_the_declared_one() -> None:
    packages = [package(kind.value, backend=kind) for kind in BackendType]
    expected = ["trt", "onnx", "torch", "torch-script", "hugging-face", "openvino", "litert", "coreml"]
    assert order(*packages)[:8] == expected
    assert order(*packages) == [kind.value for kind in known_runtimes()]


def test_a_package_made_for_a_runtime_comes_before_one_it_only_reads() -> None:
    described = model(package("a"), package("b", backend=BackendType.OPENVINO, quantization=Quantization.UNKNOWN))
    openvino = [Candidate(item, BackendType.OPENVINO) for item in described.model_packages]
    cases = [Case(described, candidate, PackageRequest(), MACHINE) for candidate in openvino]
    assert [item.package.package_id for item in ranked(cases)] == ["b", "a"]
    both = [Case(described, item, PackageRequest(), MACHINE) for item in candidates_of(model(package("a")))]
    assert ranked(both)[0].runtime is BackendType.ONNX


@pytest.mark.parametrize(
    ("machine", "request_", "expected"),
    [
        (MACHINE, PackageRequest(), ["int8", "fp32", "bf16", "fp16", "unknown"]),
        (SERVER, PackageRequest(), ["int8", "fp16", "fp32", "unknown", "bf16"]),
        (SERVER, PackageRequest(device="cpu"), ["int8", "fp32", "bf16", "fp16", "unknown"]),
        (MACHINE, PackageRequest(device="cuda"), ["int8", "fp16", "fp32", "unknown", "bf16"]),
    ],
)
def test_the_order_of_number_formats_depends_on_where_they_run(machine, request_, expected) -> None:
    packages = [package(kind.value, quantization=kind) for kind in Quantization]
    assert order(*packages, request=request_, machine=machine) == expected


STATIC = {"dynamic_batch_size_supported": False}
DETAILS = TRTPackageDetails(1, 4, 8)
NEWER = replace(BUILT_ON, cuda_version=V("12.8"))
UNSTATED = replace(BUILT_ON, cuda_version=None, os_version=None, driver_version=None)


@pytest.mark.parametrize(
    ("key", "better", "worse"),
    [
        ("trust", package("z"), package("a", trusted_source=False)),
        ("batch mode", package("z"), package("a", static_batch_size=1, **STATIC)),
        ("static batch", package("z", static_batch_size=1, **STATIC), package("a", static_batch_size=4, **STATIC)),
        (
            "opset",
            package("z", onnx_package_details=ONNXPackageDetails(19)),
            package("a", onnx_package_details=ONNXPackageDetails(17)),
        ),
        ("opset", package("z", onnx_package_details=ONNXPackageDetails(7)), package("a")),
        (
            "providers",
            package("z", onnx_package_details=ONNXPackageDetails(17, ["DmlExecutionProvider"])),
            package("a", onnx_package_details=ONNXPackageDetails(17, ["CPUExecutionProvider"])),
        ),
        ("package id", package("a"), package("b")),
    ],
)
def test_each_key_of_any_package_decides_when_those_before_it_are_equal(key, better, worse) -> None:
    assert order(worse, better) == order(better, worse) == [better.package_id, worse.package_id]
    assert first_difference(better, worse, MACHINE) == key


@pytest.mark.parametrize(
    ("key", "better", "worse", "machine"),
    [
        (
            "engine version",
            engine("z"),
            engine("a", trt_package_details=replace(DETAILS, trt_forward_compatible=True)),
            SERVER,
        ),
        ("engine GPU", engine("z"), engine("a", trt_package_details=replace(DETAILS, same_cc_compatible=True)), SERVER),
        (
            "GPUs",
            engine("z"),
            engine("a", environment_requirements=replace(BUILT_ON, cuda_device_name="tesla-t4")),
            replace(SERVER, gpus=(L4, T4, L4)),
        ),
        ("CUDA", engine("z"), engine("a", environment_requirements=NEWER), SERVER),
        ("CUDA", engine("z", environment_requirements=NEWER), engine("a", environment_requirements=UNSTATED), SERVER),
        (
            "TensorRT",
            engine("z"),
            engine("a", environment_requirements=replace(BUILT_ON, trt_version=V("10.7"))),
            SERVER,
        ),
        ("batch span", engine("z"), engine("a", trt_package_details=TRTPackageDetails(1, 2, 4)), SERVER),
        (
            "lean runtime",
            engine("z"),
            engine("a", trt_package_details=replace(DETAILS, trt_lean_runtime_excluded=True)),
            SERVER,
        ),
        (
            "Jetson",
            engine("z", environment_requirements=BUILT_ON_JETSON),
            engine(
                "a", environment_requirements=replace(BUILT_ON_JETSON, jetson_product_name="nvidia-jetson-agx-orin")
            ),
            JETSON,
        ),
        ("system", engine("z"), engine("a", environment_requirements=replace(BUILT_ON, os_version=None)), SERVER),
        (
            "L4T",
            engine("z", environment_requirements=BUILT_ON_JETSON),
            engine("a", environment_requirements=replace(BUILT_ON_JETSON, l4t_version=V("36.3.1"))),
            JETSON,
        ),
        (
            "driver",
            engine("z"),
            engine("a", environment_requirements=replace(BUILT_ON, driver_version=V("535"))),
            replace(SERVER, driver_version=V("550.54")),
        ),
    ],
)
def test_each_key_of_engines_decides_when_those_before_it_are_equal(key, better, worse, machine) -> None:
    assert order(worse, better, machine=machine) == order(better, worse, machine=machine) == ["z", "a"]
    assert first_difference(better, worse, machine) == key


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (True, ["half", "usual", "plain"]),
        (NmsPreferences(iou_threshold=(0.6, 0.8)), ["usual", "half", "plain"]),
        (NmsPreferences(iou_threshold=(0.5, 0.5)), ["half", "plain", "usual"]),
        (None, ["half", "plain", "usual"]),
    ],
)
def test_settings_inside_an_export_rank_by_how_near_they_are_to_what_is_wished(wish, expected) -> None:
    packages = [
        package("plain"),
        package("half", model_features={"nms_fused": {**FUSED, "iou_threshold": 0.5}}),
        package("usual", model_features={"nms_fused": FUSED}),
    ]
    assert order(*packages, request=PackageRequest(nms_fusion=wish)) == expected


def first_difference(one, other, machine):
    described = model(one, other)
    cases = [Case(described, Candidate(item, item.backend), PackageRequest(), machine) for item in (one, other)]
    assert rank(cases[0]) < rank(cases[1])
    return next(key.name for key in RANKING if key.value(cases[0]) != key.value(cases[1]))
