from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any

import pytest

from inference_models.backends import onnx
from inference_models.backends.onnx import choose_providers, device_of
from inference_models.backends.session import SessionRequest
from inference_models.errors import EnvironmentConfigurationError

CPU_BUILD = ["AzureExecutionProvider", "CPUExecutionProvider"]
GPU_BUILD = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
APPLE_BUILD = ["CoreMLExecutionProvider", "AzureExecutionProvider", "CPUExecutionProvider"]
WINDOWS_BUILD = ["DmlExecutionProvider", "CPUExecutionProvider"]
INTEL_BUILD = ["OpenVINOExecutionProvider", "CPUExecutionProvider"]
CPU = ("CPUExecutionProvider", {})
DEVICE = "device {!r} cannot be used through ONNX Runtime here."
INSTEAD = " is not in this build of ONNX Runtime; {} runs instead."
REPLACE = "pip uninstall -y onnxruntime && pip install"


def request_for(**changes: object) -> SessionRequest:
    return SessionRequest(directory=Path(), files={}, **changes)


@pytest.mark.parametrize(
    ("device", "available", "expected"),
    [
        ("cpu", GPU_BUILD, [("CPUExecutionProvider", {})]),
        ("cuda", GPU_BUILD, [("CUDAExecutionProvider", {"device_id": 0})]),
        ("cuda:1", GPU_BUILD, [("CUDAExecutionProvider", {"device_id": 1})]),
        (None, CPU_BUILD, [("CPUExecutionProvider", {})]),
        (None, APPLE_BUILD, [("CPUExecutionProvider", {})]),
        (None, WINDOWS_BUILD, [("CPUExecutionProvider", {})]),
        ("coreml", APPLE_BUILD, [("CoreMLExecutionProvider", {})]),
        ("mps", APPLE_BUILD, [("CoreMLExecutionProvider", {})]),
        ("directml", WINDOWS_BUILD, [("DmlExecutionProvider", {"device_id": 0})]),
        ("directml:1", WINDOWS_BUILD, [("DmlExecutionProvider", {"device_id": 1})]),
    ],
)
def test_the_device_decides_the_provider(device: str | None, available: list[str], expected: list[object]) -> None:
    assert choose_providers(request_for(device=device), available) == expected


def test_cuda_is_chosen_by_itself_only_when_a_device_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx, "cuda_device_visible", lambda: True)
    assert choose_providers(request_for(), GPU_BUILD)[0][0] == "CUDAExecutionProvider"
    monkeypatch.setattr(onnx, "cuda_device_visible", lambda: False)
    assert choose_providers(request_for(), GPU_BUILD) == [("CPUExecutionProvider", {})]


def test_the_environment_variable_orders_the_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXRUNTIME_EXECUTION_PROVIDERS", "[OpenVINOExecutionProvider,CPUExecutionProvider]")
    assert choose_providers(request_for(), CPU_BUILD) == [("CPUExecutionProvider", {})]


@pytest.mark.parametrize(
    ("changes", "available", "first", "needs", "fix"),
    [
        ({"device": "cuda"}, CPU_BUILD, DEVICE, "CUDAExecutionProvider", f'{REPLACE} "onnxruntime-gpu>=1.19"'),
        ({"device": "coreml"}, GPU_BUILD, DEVICE, "CoreMLExecutionProvider", "device='cpu'"),
        ({"device": "directml"}, CPU_BUILD, DEVICE, "DmlExecutionProvider", f"{REPLACE} onnxruntime-directml"),
        ({"device": "npu"}, INTEL_BUILD, DEVICE, "coreml or cpu or cuda or directml or mps", "device='cpu'"),
        (
            {"execution_providers": ("RknpuExecutionProvider",)},
            CPU_BUILD,
            "execution provider 'RknpuExecutionProvider' is not in this build of ONNX Runtime.",
            "RknpuExecutionProvider",
            "leave out onnx_execution_providers, or install the build of onnxruntime that has it",
        ),
    ],
)
def test_what_this_build_does_not_have_is_refused(
    changes: dict[str, Any], available: list[str], first: str, needs: str, fix: str
) -> None:
    with pytest.raises(EnvironmentConfigurationError) as caught:
        choose_providers(request_for(**changes), available)
    found = ", ".join(available)
    assert str(caught.value) == f"{first.format(changes.get('device'))}\nneeds {needs}; found: {found}\n{fix}"


def test_the_environment_variable_never_falls_back_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXRUNTIME_EXECUTION_PROVIDERS", "CUDAExecutionProvider")
    with pytest.raises(EnvironmentConfigurationError) as caught:
        choose_providers(request_for(), CPU_BUILD)
    assert str(caught.value) == (
        "ONNXRUNTIME_EXECUTION_PROVIDERS names nothing that this build of ONNX Runtime has.\n"
        "needs CUDAExecutionProvider; found: AzureExecutionProvider, CPUExecutionProvider\n"
        "unset ONNXRUNTIME_EXECUTION_PROVIDERS, or install the build of onnxruntime that has one of them"
    )


@pytest.mark.parametrize(
    ("named", "device", "expected"),
    [
        (["TensorrtExecutionProvider"], None, [("TensorrtExecutionProvider", {})]),
        (["TensorrtExecutionProvider"], "cuda:1", [("TensorrtExecutionProvider", {"device_id": 1})]),
        (["CUDAExecutionProvider"], "cpu", [("CUDAExecutionProvider", {})]),
        ([("CUDAExecutionProvider", {"device_id": 2})], "cuda:1", [("CUDAExecutionProvider", {"device_id": 2})]),
        (
            [("TensorrtExecutionProvider", {"trt_fp16_enable": True}), "CUDAExecutionProvider"],
            "cuda:1",
            [
                ("TensorrtExecutionProvider", {"device_id": 1, "trt_fp16_enable": True}),
                ("CUDAExecutionProvider", {"device_id": 1}),
            ],
        ),
        (["CPUExecutionProvider"], "cuda:1", [CPU]),
    ],
)
def test_named_providers_are_taken_as_they_are_with_the_number_of_the_device(
    named: list[object], device: str | None, expected: list[object]
) -> None:
    before = copy.deepcopy(named)
    assert choose_providers(request_for(execution_providers=tuple(named), device=device), GPU_BUILD) == expected
    assert named == before


def test_software_that_drives_a_device_in_another_way_is_never_chosen_for_a_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onnx, "cuda_device_visible", lambda: True)
    for device in (None, "cuda"):
        assert [name for name, _ in choose_providers(request_for(device=device), GPU_BUILD)] == [
            "CUDAExecutionProvider"
        ]


def test_with_a_fallback_allowed_the_cpu_comes_last(caplog: pytest.LogCaptureFixture) -> None:
    request = request_for(device="cuda", allow_fallback=True)
    with caplog.at_level(logging.WARNING, "inference-models"):
        assert choose_providers(request, GPU_BUILD) == [("CUDAExecutionProvider", {"device_id": 0}), CPU]
        assert choose_providers(request_for(allow_fallback=True), CPU_BUILD) == [CPU]
        assert choose_providers(request_for(device="cpu", allow_fallback=True), GPU_BUILD) == [CPU]
    assert caplog.records == []


@pytest.mark.parametrize(
    ("changes", "available", "expected", "told"),
    [
        ({"device": "cuda"}, CPU_BUILD, [CPU], "CUDAExecutionProvider" + INSTEAD.format("CPUExecutionProvider")),
        ({"device": "npu"}, CPU_BUILD, [CPU], "device 'npu'" + INSTEAD.format("CPUExecutionProvider")),
        (
            {"execution_providers": ("TensorrtExecutionProvider", "OpenVINOExecutionProvider")},
            INTEL_BUILD,
            [("OpenVINOExecutionProvider", {}), CPU],
            "TensorrtExecutionProvider" + INSTEAD.format("OpenVINOExecutionProvider"),
        ),
    ],
)
def test_with_a_fallback_allowed_one_warning_says_what_runs_instead(
    changes: dict[str, object],
    available: list[str],
    expected: list[object],
    told: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "inference-models"):
        assert choose_providers(request_for(allow_fallback=True, **changes), available) == expected
    assert [record.getMessage() for record in caplog.records] == [told]


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        (CPU, "cpu"),
        (("AzureExecutionProvider", {}), "cpu"),
        (("CUDAExecutionProvider", {}), "cuda:0"),
        (("TensorrtExecutionProvider", {"device_id": 1}), "cuda:1"),
        (("DmlExecutionProvider", {"device_id": 1}), "directml:1"),
        (("CoreMLExecutionProvider", {}), "coreml"),
        (("OpenVINOExecutionProvider", {}), "openvino"),
        (("QNNExecutionProvider", {}), "qnn"),
    ],
)
def test_a_provider_says_where_it_runs(provider: tuple[str, dict[str, object]], expected: str) -> None:
    assert device_of(provider) == expected
