"""Packages of formats that came later, published and loaded over real HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from inference_models import AutoModel
from inference_models.registry.manifest_writer import write_manifest
from registry.packages import serving, write_detector

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = np.full((64, 64, 3), 128, np.uint8)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """One detector as ONNX and as OpenVINO IR."""
    pytest.importorskip("openvino")
    from inference_models.backends.openvino import import_openvino

    openvino = import_openvino()
    root = tmp_path / "library"
    onnx = write_detector(root / "pets" / "graph", quantization="fp32")
    ir = write_detector(root / "pets" / "ir", quantization="fp32", dynamic_batch_size_supported=True)
    openvino.save_model(openvino.Core().read_model(onnx / "weights.onnx"), ir / "weights.xml", compress_to_fp16=False)
    (ir / "weights.onnx").unlink()
    stated = json.loads((ir / "model_config.json").read_text())
    (ir / "model_config.json").write_text(json.dumps({**stated, "backend_type": "openvino"}))
    return root


def test_openvino_ir_is_served_by_a_registry_and_answers_like_onnx(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(library) as server:
        monkeypatch.setenv("ROBOFLOW_API_HOST", server.url)
        graph = AutoModel.from_pretrained("roboflow:pets", api_key="k", model_package_id="graph")
        ir = AutoModel.from_pretrained("roboflow:pets", api_key="k", model_package_id="ir")
    assert (graph.resolved_model.backend, ir.resolved_model.backend) == ("onnx", "openvino")
    expected, found = graph(IMAGE)[0], ir(IMAGE)[0]
    assert len(expected) == 1
    np.testing.assert_allclose(found.xyxy, expected.xyxy, atol=1e-4)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-6)


def test_openvino_ir_behind_a_manifest_is_trusted_like_onnx(library: Path) -> None:
    write_manifest(library)
    model = AutoModel.from_pretrained(f"{(library / 'manifest.json').as_uri()}#pets", backend="openvino")
    assert (model.resolved_model.backend, len(model(IMAGE)[0])) == ("openvino", 1)
