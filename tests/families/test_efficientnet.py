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


@pytest.mark.parametrize(
    ("task", "activation"),
    [
        ("classification", lambda logits: np.exp(logits) / np.exp(logits).sum()),
        ("multi-label-classification", lambda logits: 1 / (1 + np.exp(-logits))),
    ],
)
def test_scores_are_those_of_the_evaluation_of_timm(tmp_path: Path, task, activation) -> None:
    path, image = classifier(tmp_path / "model.onnx", 224), Image.fromarray(skimage.data.coffee())  # 600 x 400
    model = AutoModel.from_pretrained(path, labels=["a", "b", "c", "d"], model_type="efficientnet", task_type=task)
    answer = model(image)
    scores = answer.confidence if task == "classification" else answer[0].confidence
    logits = logits_of(network_input(image, shorter_edge=256, size=224))
    np.testing.assert_allclose(np.ravel(scores), np.ravel(activation(logits)), atol=1e-5)
