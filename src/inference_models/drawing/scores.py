"""Classes of the whole image, with their scores, in the corner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.drawing.panel import Line, draw_panel
from inference_models.drawing.style import color_of
from inference_models.predictions.classification import ClassificationPrediction
from inference_models.predictions.labels import name_or_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.drawing.style import Picture
    from inference_models.predictions.classification import MultiLabelClassificationPrediction

_LINES = 5


def draw_scores(
    picture: Picture,
    prediction: ClassificationPrediction | MultiLabelClassificationPrediction,
    class_names: Sequence[str] | None,
) -> None:
    """List the best classes (of several labels: those that passed), best first, a bar as long as the score."""
    if isinstance(prediction, ClassificationPrediction):
        scores = np.asarray(prediction.confidence)[0]
        shown = np.argsort(-scores, kind="stable")[:_LINES]
    else:
        scores = np.asarray(prediction.confidence)
        passed = np.asarray(prediction.class_ids, dtype=np.int64)
        shown = passed[np.argsort(-scores[passed], kind="stable")][: 2 * _LINES]
    lines = [
        Line(f"{name_or_number(int(number), class_names)} {scores[number]:.2f}", color_of(int(number)), scores[number])
        for number in shown
    ]
    draw_panel(picture, lines)
