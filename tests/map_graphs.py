"""Packages of graphs that always answer one map, and how PyTorch brings it to a picture. Import where torch is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import graphs
from inference_models import AutoModel
from optional import torch
from torch_graphs import network_input

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BACKENDS = pytest.mark.parametrize("backend", ["onnx", "openvino"])
FRAME = (64, 96)


def package(
    folder: Path,
    output: np.ndarray,
    *,
    architecture: str,
    task: str,
    names: Sequence[str] = (),
    steps: dict[str, Any] | None = None,
    **network: Any,
) -> Path:
    graphs.constant_outputs(folder / "weights.onnx", size=FRAME, outputs={"output0": output}, batch="batch")
    config = {"network_input": network_input(FRAME, **network), "image_pre_processing": steps or {}}
    (folder / "inference_config.json").write_text(json.dumps(config))
    if names:
        (folder / "class_names.txt").write_text("\n".join(names))
    stated = {"model_architecture": architecture, "task_type": task, "backend_type": "onnx"}
    (folder / "model_config.json").write_text(json.dumps(stated))
    return folder


def bare(folder: Path, output: np.ndarray, *, architecture: str, backend: str, **options: Any) -> Any:
    if backend == "openvino":
        pytest.importorskip("openvino")
    path = graphs.constant_outputs(folder / "m.onnx", size=FRAME, outputs={"output0": output})
    return AutoModel.from_pretrained(path, model_type=architecture, backend=backend, **options)


def upsampled(cells: np.ndarray, size: tuple[int, int], mode: str, **options: Any) -> np.ndarray:
    """(..., h, w) float32 by `torch.nn.functional.interpolate`."""
    stack = torch.from_numpy(np.ascontiguousarray(cells, np.float32)).reshape(1, -1, *cells.shape[-2:])
    made = torch.nn.functional.interpolate(stack, size, mode=mode, **options)
    return made.reshape(*cells.shape[:-2], *size).numpy()
