"""Every refusal of every check, word for word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from inference_models.entities import (
    BackendType,
    FileDownloadSpecs,
    MemoryProfile,
    ONNXPackageDetails,
    PackageSourceType,
    Quantization,
    TorchScriptPackageDetails,
    TRTPackageDetails,
)
from inference_models.negotiate.case import Candidate, Case
from inference_models.negotiate.checks import CHECKS, examine
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
    torch_script,
)

ONNX, TORCH_SCRIPT, TRT = BackendType.ONNX, BackendType.TORCH_SCRIPT, BackendType.TRT
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def ask(**wishes: object) -> PackageRequest:
    return PackageRequest(**wishes)


def onnx(opset: int = 17, incompatible: list[str] | None = None, **changes: object):
    return package(onnx_package_details=ONNXPackageDetails(opset, incompatible), **changes)


def without(machine, kind):
    return replace(machine, runtimes={**machine.runtimes, kind: None})


def server(*gpus, **changes):
    return replace(SERVER, **{"gpus": gpus or SERVER.gpus, **changes})


TWO_GPUS = server(T4, L4)
NO_PROVIDERS = replace(MACHINE, execution_providers=())
GPU_WITHOUT_BUILD = server(execution_providers=("AzureExecutionProvider", CPU))
OLD = replace(MACHINE, runtimes={**MACHINE.runtimes, ONNX: V("1.22.1")})
FORWARD = TRTPackageDetails(trt_forward_compatible=True)
BIG = [FileDownloadSpecs("https://host/w", "weights.onnx", size=12_300_000_000)]
PEAK = MemoryProfile(peak_vram_mb={1: 2_000, 8: 9_000, 16: 40_000})
ANY = NmsPreferences(max_detections=(100, 300), class_agnostic=True)
TRACED = TorchScriptPackageDetails({"cuda"}, V("2.6.0"), V("0.21.0"))
USUAL = "max_detections 300, confidence_threshold 0.25, iou_threshold 0.7, class_agnostic False"
HALF = '{"max_detections": 300, "confidence_threshold": 0.25, "iou_threshold": 0.5, "class_agnostic": False}'
USER = PackageSourceType.LOCAL_CACHE


CASES = [
    (package(), MACHINE, ask(package_id="other")),
    (package(backend=BackendType.ULTRALYTICS), MACHINE, ask()),
    (package(backend=BackendType.TORCH), MACHINE, ask()),
    (package(model_features={"resolution": 560, "num_windows": 4}), MACHINE, ask()),
    (package(), MACHINE, ask(required_capabilities=("image_embeddings",))),
    (package(trusted_source=False), MACHINE, ask()),
    (package(), MACHINE, ask(backends=frozenset({TRT, TORCH_SCRIPT}))),
    (package(), MACHINE, ask(disabled_backends=(ONNX,))),
    (package(quantization=Quantization.INT8), MACHINE, ask()),
    (package(quantization=Quantization.FP16), MACHINE, ask(device="cpu")),
    (package(quantization=Quantization.BF16), SERVER, ask()),
    (package(quantization=Quantization.BF16), SERVER, ask(device="cuda:0")),
    (package(), MACHINE, ask(quantizations=frozenset({Quantization.INT8, Quantization.FP16}))),
    (package(quantization=None), MACHINE, ask(quantizations=frozenset({Quantization.INT8}))),
    (package(package_source=USER), MACHINE, ask(quantizations=frozenset({Quantization.FP16}))),
    (package(dynamic_batch_size_supported=False, static_batch_size=16), MACHINE, ask(batch_size=(4, 8))),
    (engine(), SERVER, ask(batch_size=(16, 16))),
    (package(model_features={"nms_fused": FUSED}), MACHINE, ask()),
    (package(model_features={"nms_fused": FUSED}), MACHINE, ask(nms_fusion=ANY)),
    (package(model_features={"nms_fused": {**FUSED, "iou_threshold": 0.5}}), MACHINE, ask(nms_fusion=True)),
    (package(model_features={"nms_fused": {"max_detections": 300}}), MACHINE, ask()),
    (package(model_features={"nms_fused": {}}), MACHINE, ask(nms_fusion=True)),
    (package(model_features={"nms_fused": True}, package_source=USER), MACHINE, ask(nms_fusion=False)),
    (package(backend=BackendType.COREML), MACHINE, ask()),
    (engine(), server(system="darwin arm64"), ask()),
    (package(), without(MACHINE, ONNX), ask()),
    (package(), without(SERVER, ONNX), ask(device="cuda")),
    (package(), replace(MACHINE, runtimes={ONNX: V("1.15.1")}), ask()),
    (package(), server(runtimes={ONNX: V("1.15.1")}), ask()),
    (package(), replace(MACHINE, broken={"onnxruntime": "importing it ended the process by SIGILL"}), ask()),
    (torch_script(), replace(MACHINE, broken={"torch": "importing it did not end within 20 s"}), ask()),
    (package(backend=BackendType.HF), MACHINE, ask()),
    (package(), MACHINE, ask(device="cuda:0")),
    (package(quantization=Quantization.FP16), MACHINE, ask(device="cuda:0")),
    (engine(), MACHINE, ask()),
    (engine(), SERVER, ask(device="cpu")),
    (package(), SERVER, ask(device="cuda:1")),
    (package(), TWO_GPUS, ask(device="cuda:2")),
    (package(), MACHINE, ask(device="mps")),
    (package(), SERVER, ask(device="gpu")),
    (
        package(backend=BackendType.OPENVINO),
        replace(MACHINE, runtimes={BackendType.OPENVINO: V("2026.4.1")}, accelerators=frozenset({"npu"})),
        ask(device="gpu:1"),
    ),
    (package(package_artefacts=BIG), replace(MACHINE, memory=8_000_000_000), ask()),
    (package(memory_profile=PEAK), TWO_GPUS, ask(batch_size=(16, 16))),
    (package(memory_profile=MemoryProfile(peak_vram_mb={1: 30_000})), SERVER, ask()),
    (onnx(24), OLD, ask()),
    (onnx(24), server(runtimes={ONNX: V("1.23.2")}), ask()),
    (onnx(99), MACHINE, ask()),
    (package(), GPU_WITHOUT_BUILD, ask(device="cuda")),
    (package(), MACHINE, ask(execution_providers=(CUDA, CPU))),
    (package(), MACHINE, ask(execution_providers=("DmlExecutionProvider",))),
    (package(), replace(MACHINE, system="win32 AMD64"), ask(execution_providers=("DmlExecutionProvider",))),
    (package(), MACHINE, ask(execution_providers=("QNNExecutionProvider",))),
    (package(), MACHINE, ask(preferred_providers=(CUDA, "OpenVINOExecutionProvider"))),
    (onnx(incompatible=[CUDA]), SERVER, ask()),
    (onnx(incompatible=[CUDA]), SERVER, ask(execution_providers=(CUDA, CPU))),
    (onnx(incompatible=[CPU]), MACHINE, ask()),
    (torch_script(torch_script_package_details=TorchScriptPackageDetails({"cuda"}, V("2.6.0"))), MACHINE, ask()),
    (torch_script(torch_script_package_details=TorchScriptPackageDetails({"cpu"}, V("2.6.0"))), SERVER, ask()),
    (torch_script(torch_script_package_details=TorchScriptPackageDetails(set(), V("2.6.0"))), MACHINE, ask()),
    (torch_script(torch_script_package_details=TorchScriptPackageDetails({"cpu"}, V("2.14.1+cu128"))), MACHINE, ask()),
    (torch_script(torch_script_package_details=TRACED), SERVER, ask()),
    (torch_script(torch_script_package_details=TRACED), server(installed={"torchvision": V("0.20.1")}), ask()),
    (engine(environment_requirements=None), SERVER, ask()),
    (engine(environment_requirements=replace(BUILT_ON, trt_version=None)), SERVER, ask()),
    (engine(), MACHINE, ask()),
    (engine(), server(tensorrt_version=V("10.7.0")), ask()),
    (engine(trt_package_details=FORWARD), server(tensorrt_version=V("8.6.1")), ask(allow_engine_host_code=True)),
    (engine(environment_requirements=replace(BUILT_ON_JETSON, trt_version=V("8.6.2"))), JETSON, ask()),
    (engine(environment_requirements=None), MACHINE, ask()),
    (engine(), server(T4), ask()),
    (engine(), TWO_GPUS, ask(device="cuda:0")),
    (engine(trt_package_details=TRTPackageDetails(same_cc_compatible=True)), server(T4), ask()),
    (engine(environment_requirements=BUILT_ON_JETSON), SERVER, ask()),
    (engine(environment_requirements=BUILT_ON_JETSON), replace(JETSON, l4t_version=V("35.4.1")), ask()),
    (engine(environment_requirements=BUILT_ON_JETSON), replace(JETSON, l4t_version=None), ask()),
    (engine(trt_package_details=FORWARD), SERVER, ask()),
    (
        engine(trt_package_details=replace(FORWARD, trt_lean_runtime_excluded=True)),
        SERVER,
        ask(allow_engine_host_code=True),
    ),
]
"""Package, machine and request of each line in `refusals.txt`."""
REFUSALS = (Path(__file__).parent / "refusals.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(("refusal", "case"), list(zip(REFUSALS, CASES, strict=True)), ids=REFUSALS)
def test_a_refusal_says_what_is_needed_what_there_is_and_what_helps(refusal, case) -> None:
    package_, machine, request_ = case
    found = examine(Case(model(package_), Candidate(package_, package_.backend), request_, machine))
    (reason,) = [reason for reason in found if reason.check == refusal.partition(":")[0]]
    fix = "" if reason.fix is None else f"; {reason.fix}"
    assert f"{reason.check}: needs {reason.needs}; found: {reason.found}{fix}" == refusal
    assert (reason.package_id, reason.runtime) == ("p", None)


def test_every_check_refuses_something_above() -> None:
    # Faults of operators are read from a graph that is there: test_operator_faults.
    checks = [check.name for check in CHECKS if check.name != "operator_faults"]
    assert checks == list(dict.fromkeys(line.partition(":")[0] for line in REFUSALS))
