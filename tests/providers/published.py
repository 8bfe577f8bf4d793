"""A folder of models as somebody publishes it: one tiny classifier, its configuration, and the manifest."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from onnx import helper

from graphs import save

SIDE = 8
WEIGHTS = np.random.default_rng(5).normal(size=(3, 2)).astype(np.float32)
NAMES = ["day", "night"]
INFERENCE = {
    "network_input": {
        "training_input_size": {"height": SIDE, "width": SIDE},
        "dynamic_spatial_size_supported": False,
        "color_mode": "rgb",
        "resize_mode": "stretch",
        "input_channels": 3,
        "scaling_factor": 255,
    },
    "post_processing": {"type": "softmax", "fused": False},
}


def entry(handle: str, path: str, content: bytes, **facts: object) -> dict:
    return {
        "handle": handle,
        "path": path,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        **facts,
    }


def package_files(folder) -> dict[str, bytes]:
    """Content by handle."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["scores"]),
    ]
    shapes = {"inputs": {"images": ["batch", 3, SIDE, SIDE]}, "outputs": {"scores": ["batch", 2]}}
    return {
        "weights.onnx": save(folder / "weights.onnx", nodes, **shapes, weights={"w": WEIGHTS}).read_bytes(),
        "class_names.txt": "\n".join(NAMES).encode(),
        "inference_config.json": json.dumps(INFERENCE).encode(),
    }


def manifest_of(files: dict[str, bytes], model_id: str = "day-night") -> dict:
    package = {
        "package_id": "onnxfp32",
        "backend": "onnx",
        "quantization": "fp32",
        "opset": 17,
        "dynamic_batch_size_supported": True,
        "files": [entry(handle, f"{model_id}/{handle}", content) for handle, content in files.items()],
    }
    model = {
        "architecture": "classifier",
        "task_type": "classification",
        "license": "CC0-1.0",
        "source": "made in a test",
        "packages": [package],
    }
    return {"schema_version": 1, "models": {model_id: model}}


def published(folder) -> dict[str, bytes]:
    """Content by path below the folder that is published."""
    files = package_files(folder)
    return {
        "manifest.json": json.dumps(manifest_of(files)).encode(),
        **{f"day-night/{handle}": content for handle, content in files.items()},
    }


def expected_scores(image: np.ndarray) -> np.ndarray:
    logits = (image / 255).mean((0, 1)) @ WEIGHTS
    return np.exp(logits) / np.exp(logits).sum()
