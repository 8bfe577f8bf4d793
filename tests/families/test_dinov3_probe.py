from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import skimage.data
from onnx import helper
from PIL import Image

import graphs
from inference_models import AutoModel

if TYPE_CHECKING:
    from pathlib import Path

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
WEIGHTS = np.random.default_rng(5).normal(size=(3 * 8 * 8, 4)).astype(np.float32)


def network_input(image: Image.Image) -> np.ndarray:
    """timm 1.0's evaluation for DINOv3: bicubic, the middle square as 256 pixels, ImageNet's mean and deviation."""
    scale = 256 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - 256) // 2, (image.height - 256) // 2
    pixels = np.asarray(image.crop((left, top, left + 256, top + 256)), np.float32) / 255
    return ((pixels - MEAN) / STD).transpose(2, 0, 1)[None]


def logits_of(inputs: np.ndarray) -> np.ndarray:
    return inputs.reshape(1, 3, 8, 32, 8, 32).mean((3, 5)).reshape(1, -1) @ WEIGHTS


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that sees the mean of each of 64 fields."""
    nodes = [
        helper.make_node("AveragePool", ["images"], ["fields"], kernel_shape=[32, 32], strides=[32, 32]),
        helper.make_node("Flatten", ["fields"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
    ]
    return graphs.save(
        tmp_path_factory.mktemp("dinov3") / "model.onnx",
        nodes,
        inputs={"images": ["batch", 3, 256, 256]},
        outputs={"logits": ["batch", 4]},
        weights={"w": WEIGHTS},
    )


def scores_of(path: Path, task: str, backend: str) -> tuple[object, np.ndarray]:
    image = Image.fromarray(skimage.data.coffee())  # 600 x 400
    options = {"labels": ["a", "b", "c", "d"], "model_type": "dinov3_probe", "task_type": task, "backend": backend}
    return AutoModel.from_pretrained(path, **options)(image), logits_of(network_input(image))


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_one_label_is_scored_as_timm_evaluates(path: Path, backend: str) -> None:
    answer, logits = scores_of(path, "classification", backend)
    np.testing.assert_allclose(answer.confidence, np.exp(logits) / np.exp(logits).sum(), atol=1e-5)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_of_several_labels_those_count_that_are_as_likely_as_not(path: Path, backend: str) -> None:
    answer, logits = scores_of(path, "multi-label-classification", backend)
    expected = 1 / (1 + np.exp(-logits[0]))
    np.testing.assert_allclose(answer[0].confidence, expected, atol=1e-5)
    assert list(answer[0].class_ids) == list(np.flatnonzero(expected >= 0.5))
