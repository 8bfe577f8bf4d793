"""PP-YOLOE as libreyolo 1.6.0 answers it (its own preparation and post-processing, the best class of each anchor)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

import graphs
from inference_models import AutoModel

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 64
FOUND = [
    (1, 0.997308, 47.6829, 57.9991, 102.2415, 95.5188),
    (2, 0.942156, 82.0121, 86.3838, 108.6056, 125.0),
    (0, 0.940805, 116.1157, 36.9061, 180.3082, 76.8230),
    (1, 0.935265, 44.7245, 69.5397, 111.7194, 103.7591),
    (2, 0.925305, 127.4652, 36.9307, 196.5040, 62.7515),
    (0, 0.920499, 22.0596, 26.2401, 47.5217, 71.1473),
    (0, 0.901542, 105.9979, 8.2625, 125.3389, 44.2711),
    (0, 0.889751, 42.6302, 60.8013, 93.1568, 106.4393),
    (0, 0.880538, 58.6842, 48.4444, 105.2892, 87.7228),
    (2, 0.880302, 26.0867, 71.9841, 68.2501, 92.3540),
    (2, 0.858045, 118.0549, 74.0548, 187.0110, 92.8144),
    (1, 0.845305, 56.1366, 8.5174, 112.5423, 41.8576),
    (2, 0.832978, 58.3046, 35.6694, 87.7591, 65.0197),
    (0, 0.806372, 88.4550, 62.7688, 162.8165, 82.8008),
]
"""Of `outputs`, on a picture of 125x200, above 0.8: class, score, x1 y1 x2 y2."""


def outputs() -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    corner = random.uniform(0, 48, (84, 2))
    boxes = np.concatenate([corner, corner + random.uniform(6, 24, (84, 2))], 1)
    return {
        "boxes": boxes.astype(np.float32)[None],
        "scores": (random.uniform(0, 1, (1, 84, 3)) ** 3).astype(np.float32),
    }


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_pictures_are_prepared_and_objects_found_as_libreyolo_does(tmp_path: Path, backend: str) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino")
    path = graphs.constant_outputs(tmp_path / "ppyoloe.onnx", size=(SIDE, SIDE), outputs=outputs())
    model = AutoModel.from_pretrained(path, model_type="pp-yoloe", labels=["a", "b", "c"], backend=backend)
    picture = np.random.default_rng(0).integers(0, 255, (125, 200, 3), np.uint8)
    inputs, _ = model.pre_process(picture)
    stretched = cv2.resize(picture[..., ::-1], (SIDE, SIDE)).astype(np.float32)
    wanted = (stretched - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
    np.testing.assert_allclose(inputs[0].transpose(1, 2, 0), wanted, atol=1e-4)
    (found,) = model(picture, confidence=0.8)
    rows = np.column_stack([found.class_id, found.confidence, found.xyxy])
    np.testing.assert_allclose(rows, FOUND, atol=1e-3)
    (usual,) = model(picture)
    assert (len(usual), float(usual.confidence.min()) > 0.5) == (37, True)
