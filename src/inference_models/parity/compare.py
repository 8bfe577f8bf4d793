"""How far the answers of one package are from those of another one.

Pass predictions that were made with a threshold *below* `least_score`: then an object that one side scores just above
it and the other just below it is a pair whose scores differ a little. Where predictions were cut at `least_score`
itself, such an object has no partner; it is *borderline* when its score is within the gate's score tolerance of
`least_score`, and a borderline object does not count against a gate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.errors import InvalidParameterError
from inference_models.parity.deviation import LEAST_SCORE, Deviation
from inference_models.parity.gates import FP16, FP32, GATES, Gate, gate_between
from inference_models.predictions.comparison import Comparison
from inference_models.predictions.container import Prediction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["FP16", "FP32", "GATES", "Deviation", "Gate", "compare_predictions", "gate_between", "predictions_in"]


def compare_predictions(
    reference: Sequence[Prediction],
    other: Sequence[Prediction],
    *,
    least_score: float = LEAST_SCORE,
    box_px: float = FP32.box_px,
) -> Deviation:
    """How far `other` is from `reference`, over all images.

    Args:
        reference: Predictions of the images, in their order; see `predictions_in`.
        other: The same images, in the same order, answered by something else.
        least_score: Objects and key points that neither side scores higher are not compared.
        box_px: Boxes no edge of which is farther off are in the same place, also where they overlap by less than 0.9;
            take that of the gate.

    Raises:
        InvalidParameterError: the two are not of equally many images.
    """
    if len(reference) != len(other):
        raise InvalidParameterError(
            "the answers cannot be compared.",
            needs=f"{len(reference)} predictions, as many as the reference has",
            found=str(len(other)),
        )
    found = Comparison(least_score, box_px)
    for first, second in zip(reference, other, strict=True):
        found.add(first, second)
    return _deviation(found, len(reference))


def predictions_in(answer: object) -> Iterator[Prediction]:
    """Every prediction in what a model returned, in order: it may be one, a list, or a tuple of lists."""
    if isinstance(answer, Prediction):
        yield answer
    elif isinstance(answer, list | tuple):
        for part in answer:
            yield from predictions_in(part)


def _deviation(found: Comparison, images: int) -> Deviation:
    masks = found.overlaps
    return Deviation(
        images=images,
        least_score=found.least_score,
        unmatched_scores=tuple(found.unmatched),
        mean_mask_iou=float(np.mean(masks)) if masks else None,
        min_mask_iou=min(masks) if masks else None,
        incomparable=tuple(found.incomparable),
        **found.numbers,
    )
