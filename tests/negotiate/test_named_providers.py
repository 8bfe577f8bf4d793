"""Execution providers that the caller names on a machine without ONNX Runtime: no advice that would not help."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inference_models.entities import BackendType
from inference_models.negotiate.choose import negotiate
from inference_models.negotiate.request import PackageRequest, build_request
from inference_models.options import LoadOptions
from negotiate.packages import MACHINE, SERVER, model, package

WITHOUT = {"runtimes": {**MACHINE.runtimes, BackendType.ONNX: None}, "execution_providers": ()}


def reasons(environment, *providers):
    request = PackageRequest(execution_providers=providers)
    refused = negotiate(model(package()), request, replace(environment, **WITHOUT)).verdicts[0]
    return [(reason.check, reason.needs, reason.found, reason.fix) for reason in refused.rejections]


@pytest.mark.parametrize(
    ("environment", "name", "fix"),
    [
        (MACHINE, "CPUExecutionProvider", 'pip install "onnxruntime>=1.19"'),
        (MACHINE, "CUDAExecutionProvider", None),
        (SERVER, "CUDAExecutionProvider", 'pip install "onnxruntime-gpu>=1.19"'),
        (SERVER, "TensorrtExecutionProvider", 'pip install "onnxruntime-gpu>=1.19"'),
        (MACHINE, "OpenVINOExecutionProvider", "pip install onnxruntime-openvino"),
        (MACHINE, "CoreMLExecutionProvider", None),
    ],
)
def test_the_build_that_has_them_is_the_one_to_install(environment, name, fix):
    assert reasons(environment, name) == [("runtime", "onnxruntime>=1.19", "not installed", fix)]


FIX = 'onnx_execution_providers=["CPUExecutionProvider"]'


@pytest.mark.parametrize(
    ("stated", "fix"),
    [
        ("cuda,CPU", "export ONNXRUNTIME_EXECUTION_PROVIDERS=CUDAExecutionProvider,CPUExecutionProvider"),
        ("CPUExecutionProvidr", "export ONNXRUNTIME_EXECUTION_PROVIDERS=CPUExecutionProvider"),
        ("warp", "unset ONNXRUNTIME_EXECUTION_PROVIDERS"),
    ],
)
def test_a_wrong_name_in_the_variable_is_told_with_the_variable_that_helps(monkeypatch, stated, fix):
    monkeypatch.setenv("ONNXRUNTIME_EXECUTION_PROVIDERS", stated)
    refused = negotiate(model(package()), build_request(LoadOptions()), MACHINE).verdicts[0]
    told = next(reason for reason in refused.rejections if reason.check == "execution_providers")
    assert told.found.startswith(f"{stated.partition(',')[0]!r} in ONNXRUNTIME_EXECUTION_PROVIDERS; ")
    assert told.fix == fix


def test_a_short_name_stands_for_the_provider():
    unknown = [reason for reason in reasons(MACHINE, "cpu") if reason[0] == "execution_providers"]
    assert unknown[0][2:] == ("'cpu', which no build of it has; nearest: 'CPUExecutionProvider'", FIX)


def test_a_name_that_no_build_has_is_told_with_the_nearest():
    unknown = [reason for reason in reasons(MACHINE, "CPUExecutionProvidr") if reason[0] == "execution_providers"]
    found = "'CPUExecutionProvidr', which no build of it has; nearest: 'CPUExecutionProvider', 'CUDAExecutionProvider'"
    assert unknown == [("execution_providers", "execution providers of ONNX Runtime", found, FIX)]
