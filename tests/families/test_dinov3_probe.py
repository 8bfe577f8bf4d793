from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import skimage.data
from PIL import Image

from inference_models import AutoModel
from timm_evaluation import classifier, logits_of, network_input

if TYPE_CHECKING:
    from pathlib import Path

COFFEE = Image.fromarray(skimage.data.coffee())  # 600 x 400
LOGITS = logits_of(network_input(COFFEE, shorter_edge=256, size=256))


def answer_of(folder: Path, task: str, backend: str):
    options = {"labels": ["a", "b", "c", "d"], "model_type": "dinov3_probe", "task_type": task, "backend": backend}
    return AutoModel.from_pretrained(classifier(folder / "model.onnx", 256), **options)(COFFEE)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_one_label_is_scored_as_timm_evaluates(tmp_path: Path, backend: str) -> None:
    scores = answer_of(tmp_path, "classification", backend).confidence
    np.testing.assert_allclose(scores, np.exp(LOGITS) / np.exp(LOGITS).sum(), atol=1e-5)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_of_several_labels_those_count_that_are_as_likely_as_not(tmp_path: Path, backend: str) -> None:
    (answer,) = answer_of(tmp_path, "multi-label-classification", backend)
    expected = 1 / (1 + np.exp(-LOGITS[0]))
    np.testing.assert_allclose(answer.confidence, expected, atol=1e-5)
    assert list(answer.class_ids) == list(np.flatnonzero(expected >= 0.5))
