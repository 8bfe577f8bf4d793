"""Folders of Transformers: exports beside the weights answer as they do, and files that do not fit are refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch", reason="Transformers runs in PyTorch")
pytest.importorskip("transformers", reason="needs Transformers")

import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import torch_graphs
from inference_models import AutoModel
from inference_models.errors import ModelLoadingError
from test_transformers_folders import Heads, photograph, saved
from transformers_networks import (
    depth_estimators,
    detectors,
    mask_transformers,
    pose_estimators,
    semantic_segmenters,
)

if TYPE_CHECKING:
    from pathlib import Path

EXPORTED = {
    "lw_detr": (detectors, "logits", "pred_boxes"),
    "glpn": (depth_estimators, "predicted_depth"),
    "maskformer": (mask_transformers, "class_queries_logits", "masks_queries_logits"),
}
"""Networks that `torch.onnx.export` takes, with the heads that are exported."""


@pytest.mark.parametrize("name", EXPORTED)
def test_an_export_of_any_kind_of_network_gives_what_its_weights_give(tmp_path: Path, name: str) -> None:
    makers, *heads = EXPORTED[name]
    network, processor = makers()[name]()
    saved(tmp_path, network, processor)
    image = Image.fromarray(photograph())
    pixels = processor(images=image, return_tensors="pt")["pixel_values"]
    (tmp_path / "onnx").mkdir()
    torch_graphs.save_heads(Heads(network, *heads), tmp_path / "onnx" / "model.onnx", pixels, heads)
    weights, export = (
        AutoModel.from_pretrained(str(tmp_path), model_package_id=package, arrays="numpy")
        for package in ("safetensors", "onnxfp32")
    )
    inputs, _ = weights.pre_process(image)
    others, _ = export.pre_process(image)
    np.testing.assert_array_equal(inputs, others)
    (found,), (expected,) = export.forward(others), weights.forward(inputs)
    for ours, wanted in zip(found.outputs, map(np.asarray, expected.outputs), strict=False):
        reach = max(1.0, float(np.abs(wanted).max()))  # onnxruntime 1.32 against torch 2.13
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-4 * reach)
    assert len(export(image)) == 1


BROKEN = {
    "conditional_detr": (detectors, "class_labels_classifier.weight"),
    "rf_detr": (detectors, "class_embed.weight"),
    "beit": (semantic_segmenters, "decode_head.classifier.weight"),
    "mask2former": (mask_transformers, "class_predictor.weight"),
    "vitpose": (pose_estimators, "head.conv.weight"),
}


@pytest.mark.parametrize("fault", ["missing", "foreign", "shape", "code"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_folder_that_lies_is_refused_with_the_key(tmp_path: Path, name: str, fault: str) -> None:
    makers, part = BROKEN[name]
    network, processor = makers()[name]()
    network.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    said = next(key for key in state if part in key and state[key].ndim > 1)
    if fault == "missing":
        del state[said]
    elif fault == "foreign":
        said = "foreign.weight"
        state[said] = torch.zeros(2)
    elif fault == "shape":
        state[said] = torch.zeros(7, *state[said].shape[1:])
    else:
        said = "auto_map"
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), said: {"AutoModel": "code.Network"}}))
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelLoadingError) as caught:
        AutoModel.from_pretrained(str(tmp_path))
    assert said in str(caught.value)
