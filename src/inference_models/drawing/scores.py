"""Classes of the whole image, with their scores, in the corner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.drawing.panel import Line, draw_panel
from inference_models.drawing.style import color_of
from inference_models.errors import InvalidParameterError
from inference_models.predictions.classification import ClassificationPrediction
from inference_models.predictions.labels import name_or_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.drawing.style import Picture
    from inference_models.predictions.classification import MultiLabelClassificationPrediction

_LINES = 5


def draw(
    picture: Picture,
    prediction: ClassificationPrediction | MultiLabelClassificationPrediction,
    class_names: Sequence[str] | None,
    _: object,
) -> None:
    """List the best classes (of several labels: those that passed), best first, a bar as long as the score."""
    if isinstance(prediction, ClassificationPrediction):
        if len(prediction) != 1:
            raise InvalidParameterError(
                f"classes of {len(prediction)} images cannot be drawn on one.",
                needs="the prediction of one image",
                found=f"a batch of {len(prediction)}",
                fix="run the model on one image at a time to draw its answers",
            )
        scores = to_numpy(prediction.confidence)[0]
        shown = np.argsort(-scores, kind="stable")[:_LINES]
    else:
        scores = to_numpy(prediction.confidence)
        passed = to_numpy(prediction.class_ids).astype(np.int64)
        shown = passed[np.argsort(-scores[passed], kind="stable")][: 2 * _LINES]
    lines = [
        Line(f"{name_or_number(int(number), class_names)} {scores[number]:.2f}", color_of(int(number)), scores[number])
        for number in shown
    ]
    draw_panel(picture, lines)
