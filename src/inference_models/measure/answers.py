"""Answers of one process, judged in another: as the dictionaries of `Prediction.to_dict`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference_models.parity.compare import compare_predictions, gate_between, predictions_in
from inference_models.parity.deviation import LEAST_SCORE
from inference_models.predictions.classification import ClassificationPrediction, MultiLabelClassificationPrediction
from inference_models.predictions.detections import Detections
from inference_models.predictions.instances import InstanceDetections
from inference_models.predictions.key_points import KeyPoints
from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray
    from inference_models.entities import Quantization
    from inference_models.parity.deviation import Deviation
    from inference_models.predictions.container import Prediction

_KINDS: dict[str, type[Prediction]] = {
    kind.__name__: kind
    for kind in (
        ClassificationPrediction,
        Detections,
        InstanceDetections,
        KeyPoints,
        MultiLabelClassificationPrediction,
        SemanticSegmentationResult,
    )
}
_BELOW_THE_BORDER = LEAST_SCORE - 0.1
"""Objects near the score from which they are compared must not be missing on one side."""


def answer_of(model: Any, image: NumpyArray) -> list[dict[str, Any]]:
    """Every prediction in the model's answer to one image."""
    try:
        answer = model(image, confidence=_BELOW_THE_BORDER)
    except TypeError:  # it has no threshold
        answer = model(image)
    return [prediction.numpy().to_dict() for prediction in predictions_in(answer)]


def read_answers(stated: list[list[dict[str, Any]]]) -> list[Prediction]:
    """The predictions of `answer_of`, of all images in one list; kinds nobody knows how to compare are left out.

    Raises:
        InvalidParameterError: a dictionary is not what it says.
    """
    return [_KINDS[item["type"]].from_dict(item) for answer in stated for item in answer if item["type"] in _KINDS]


def judge_answers(
    reference: list[Prediction], other: list[Prediction], kinds: tuple[Quantization | None, Quantization | None]
) -> tuple[Deviation, tuple[str, ...]]:
    """How far two lists of answers are apart, and what of that is too much for their number formats, in words."""
    if len(reference) != len(other):
        deviation = compare_predictions([], [])
        return deviation, (f"it gave {len(other)} answers instead of {len(reference)}",)
    deviation = compare_predictions(reference, other)
    return deviation, deviation.within(gate_between(*kinds))
