"""Wishes about packages, through the door that users take."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest

import graphs
from inference_models import AutoModel
from inference_models.errors import EnvironmentConfigurationError, NoCompatiblePackageError

if TYPE_CHECKING:
    from pathlib import Path

ROWS = np.zeros((1, 6, 9), np.float32)
FUSED = np.zeros((1, 5, 6), np.float32)


def load(path: Path, **wishes: object) -> object:
    return AutoModel.from_pretrained(path, labels=["cat", "dog"], model_type="yolov8", **wishes)


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A graph that takes one image at a time."""
    return graphs.constant_outputs(tmp_path / "best.onnx", size=(64, 64), outputs={"output0": ROWS})


def test_a_forced_package_loads_and_says_what_was_overridden(static: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(NoCompatiblePackageError):
        load(static, model_package_id="local", device="cuda:7", backend="onnx")
    with caplog.at_level(logging.WARNING, "inference-models"), pytest.raises(EnvironmentConfigurationError):
        # The runtime is asked then, and refuses in its own words: the machine has no such device.
        load(static, model_package_id="local", device="cuda:7", backend="onnx", force=True)
    assert "local is forced: it needs a CUDA device; found: no CUDA device" in caplog.messages


def test_a_forced_quantization_loads(static: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "inference-models"):
        load(static, model_package_id="local", quantization="int8", backend="onnx", force=True)
    assert caplog.messages == ["local is forced: it needs quantization int8; found: fp32"]


def test_named_execution_providers_that_are_not_there_are_refused_before_anything_is_opened(static: Path) -> None:
    with pytest.raises(NoCompatiblePackageError) as caught:
        load(static, onnx_execution_providers=[("TensorrtExecutionProvider", {"device_id": 0})])
    checks = {item.check for item in caught.value.rejections if item.runtime is None}
    assert checks <= {"execution_providers", "runtime"}
    assert checks


def test_a_disabled_backend_is_not_used(static: Path) -> None:
    with pytest.raises(NoCompatiblePackageError):
        load(static, disabled_backends=["onnx", "openvino"])
    assert load(static, disabled_backends=["onnx"], backend="onnx").resolved_model.backend == "onnx"


def test_a_file_of_the_user_with_suppression_inside_loads_unless_that_is_refused(tmp_path: Path) -> None:
    metadata = {"names": "{0: 'cat', 1: 'dog'}", "task": "detect", "end2end": "True", "description": "YOLOv8n"}
    path = graphs.constant_outputs(
        tmp_path / "fused.onnx", size=(64, 64), outputs={"output0": FUSED}, metadata=metadata
    )
    assert load(path).resolved_model.model_package_id == "local"
    assert load(path, nms_fusion_preferences=True).resolved_model.model_package_id == "local"
    with pytest.raises(NoCompatiblePackageError) as caught:
        load(path, nms_fusion_preferences=False)
    assert {item.check for item in caught.value.rejections if item.runtime is None} == {"nms_fusion"}
