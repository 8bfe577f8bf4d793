"""Execution providers: which are selected, and with which options."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphs
from inference_models.authors.onnx_providers import (
    align_device_with_onnx_session,
    get_selected_onnx_execution_providers,
    set_onnx_execution_provider_defaults,
)
from inference_models.errors import EnvironmentConfigurationError, InvalidParameterError

onnxruntime = pytest.importorskip("onnxruntime")
NAMES = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CoreMLExecutionProvider", "CPUExecutionProvider"]


def test_the_selection_is_the_usual_order_without_what_is_missing() -> None:
    available = onnxruntime.get_available_providers()
    selected = get_selected_onnx_execution_providers()
    assert selected[-1] == "CPUExecutionProvider"
    assert set(selected) <= set(available)


def test_the_variable_decides_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXRUNTIME_EXECUTION_PROVIDERS", "[NoSuchExecutionProvider, CPUExecutionProvider]")
    assert get_selected_onnx_execution_providers() == ["CPUExecutionProvider"]


def test_defaults_name_device_and_caches() -> None:
    completed = set_onnx_execution_provider_defaults(NAMES, Path("/p"), "cuda:1", default_onnx_coreml_options=True)
    assert completed == [
        (
            "TensorrtExecutionProvider",
            {
                "device_id": 1,
                "trt_engine_cache_enable": True,
                "trt_engine_cache_path": str(Path("/p")),
                "trt_fp16_enable": True,
            },
        ),
        ("CUDAExecutionProvider", {"device_id": 1}),
        (
            "CoreMLExecutionProvider",
            {"ModelFormat": "MLProgram", "MLComputeUnits": "CPUAndGPU", "ModelCacheDirectory": str(Path("/p"))},
        ),
        "CPUExecutionProvider",
    ]


def test_without_defaults_and_on_the_cpu_names_stay_names() -> None:
    assert set_onnx_execution_provider_defaults(NAMES, "/p", "cpu", default_onnx_trt_options=False) == NAMES


def test_options_that_are_given_win() -> None:
    given = [("CUDAExecutionProvider", {"device_id": 3, "cudnn_conv_algo_search": "DEFAULT"})]
    assert set_onnx_execution_provider_defaults(given, "/p", "cuda") == given


def test_variables_set_what_core_ml_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERENCE_MODELS_COREML_COMPUTE_UNITS", "ALL")
    monkeypatch.setenv("INFERENCE_MODELS_COREML_MODEL_CACHE_ENABLED", "false")
    (completed,) = set_onnx_execution_provider_defaults(
        ["CoreMLExecutionProvider"], "/p", "cpu", default_onnx_coreml_options=True
    )
    assert completed == ("CoreMLExecutionProvider", {"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"})


class TestDevice:
    @pytest.fixture
    def session(self, tmp_path: Path) -> object:
        pytest.importorskip("torch")
        path, _, _ = graphs.convolution(tmp_path / "weights.onnx")
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def test_the_cpu_always_fits(self, session: object) -> None:
        assert str(align_device_with_onnx_session(session, "cpu")) == "cpu"

    def test_another_device_falls_back(self, session: object) -> None:
        assert str(align_device_with_onnx_session(session, "cuda:0")) == "cpu"
        assert str(align_device_with_onnx_session(session, "mps", fallback_device="meta")) == "meta"

    def test_or_fails_when_asked_to(self, session: object) -> None:
        with pytest.raises(EnvironmentConfigurationError) as caught:
            align_device_with_onnx_session(session, "cuda:0", "fail")
        assert str(caught.value) == (
            "the ONNX session does not run on cuda:0.\n"
            "needs CUDAExecutionProvider or TensorrtExecutionProvider; found: CPUExecutionProvider\n"
            "open the session with another execution provider, or pass device='cpu'"
        )

    def test_another_mode_is_refused(self, session: object) -> None:
        with pytest.raises(InvalidParameterError) as caught:
            align_device_with_onnx_session(session, "cpu", "hope")
        assert str(caught.value) == (
            "resolution_mode='hope' makes no sense.\nneeds 'fallback' or 'fail'; found: 'hope'"
        )
