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
WEIGHTS = np.random.default_rng(3).normal(size=(3 * 7 * 7, 4)).astype(np.float32)


def network_input(image: Image.Image) -> np.ndarray:
    """timm 1.0's evaluation: bicubic to a shorter edge of 256, the middle 224, ImageNet's mean and deviation."""
    scale = 256 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
    return ((pixels - MEAN) / STD).transpose(2, 0, 1)[None]


def logits_of(inputs: np.ndarray) -> np.ndarray:
    return inputs.reshape(1, 3, 7, 32, 7, 32).mean((3, 5)).reshape(1, -1) @ WEIGHTS


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that sees the mean of each of 49 fields."""
    nodes = [
        helper.make_node("AveragePool", ["images"], ["fields"], kernel_shape=[32, 32], strides=[32, 32]),
        helper.make_node("Flatten", ["fields"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
    ]
    return graphs.save(
        tmp_path_factory.mktemp("efficientnet") / "model.onnx",
        nodes,
        inputs={"images": ["batch", 3, 224, 224]},
        outputs={"logits": ["batch", 4]},
        weights={"w": WEIGHTS},
    )


@pytest.mark.parametrize(
    ("task", "activation"),
    [
        ("classification", lambda logits: np.exp(logits) / np.exp(logits).sum()),
        ("multi-label-classification", lambda logits: 1 / (1 + np.exp(-logits))),
    ],
)
def test_scores_are_those_of_the_evaluation_of_timm(path: Path, task, activation) -> None:
    image = Image.fromarray(skimage.data.coffee())  # 600 x 400
    model = AutoModel.from_pretrained(path, labels=["a", "b", "c", "d"], model_type="efficientnet", task_type=task)
    answer = model(image)
    scores = answer.confidence if task == "classification" else answer[0].confidence
    np.testing.assert_allclose(np.ravel(scores), np.ravel(activation(logits_of(network_input(image)))), atol=1e-5)
