"""timm 1.0's evaluation of a picture, and a classifier whose answer depends on every part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import helper
from PIL import Image

import graphs

if TYPE_CHECKING:
    from pathlib import Path

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
FIELD = 32


def network_input(image: Image.Image, *, shorter_edge: int, size: int) -> np.ndarray:
    """Bicubic to a shorter edge, the middle square, ImageNet's mean and deviation: (1, 3, size, size)."""
    scale = shorter_edge / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    pixels = np.asarray(image.crop((left, top, left + size, top + size)), np.float32) / 255
    return ((pixels - MEAN) / STD).transpose(2, 0, 1)[None]


def weights(size: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(3 * (size // FIELD) ** 2, 4)).astype(np.float32)


def logits_of(inputs: np.ndarray) -> np.ndarray:
    size = inputs.shape[-1]
    fields = inputs.reshape(1, 3, size // FIELD, FIELD, size // FIELD, FIELD).mean((3, 5))
    return fields.reshape(1, -1) @ weights(size)


def classifier(path: Path, size: int) -> Path:
    """Four logits of the means of all fields of 32 x 32."""
    nodes = [
        helper.make_node("AveragePool", ["images"], ["fields"], kernel_shape=[FIELD] * 2, strides=[FIELD] * 2),
        helper.make_node("Flatten", ["fields"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
    ]
    shapes = {"inputs": {"images": ["batch", 3, size, size]}, "outputs": {"logits": ["batch", 4]}}
    return graphs.save(path, nodes, **shapes, weights={"w": weights(size)})
