"""How far the answers of one package are from those of another one, and how far they may be.

Pass predictions that were made with a threshold *below* `least_score`: then an object that one side scores just above
it and the other just below it is a pair whose scores differ a little. Where predictions were cut at `least_score`
itself, such an object has no partner; it is *borderline* when its score is within the gate's score tolerance of
`least_score`, and a borderline object does not count against a gate.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from inference_models.entities import Quantization
from inference_models.errors import InvalidParameterError
from inference_models.predictions.comparison import Comparison
from inference_models.predictions.container import Prediction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LEAST_SCORE = 0.3


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """The largest differences at which answers count as the same."""

    matched: float
    """Share of the objects that have a partner of the same class, with IoU >= 0.9 or every edge within `box_px`."""
    box_px: float
    """Largest difference of an edge of a box, or of a key point, in pixels of the image."""
    score: float
    """Largest difference of a score. Objects this near to the threshold may be on either side of it."""
    mask_iou: float
    """Mean overlap of the masks of matched objects."""
    pixels: float
    """Share of the pixels of a segmentation map that may have another class."""
    raw: float
    """Largest difference of an output, relative to its largest magnitude; decides where nothing else can."""


FP32 = Gate(matched=1.0, box_px=0.5, score=0.001, mask_iou=0.99, pixels=0.001, raw=0.001)
FP16 = Gate(matched=0.995, box_px=2.0, score=0.01, mask_iou=0.98, pixels=0.005, raw=0.01)
GATES: Mapping[Quantization, Gate] = MappingProxyType(
    {Quantization.FP32: FP32, Quantization.FP16: FP16, Quantization.UNKNOWN: FP32}
)
"""Of what does not say how its numbers are stored, as much is asked as of fp32. INT8 and bf16 have no gate: how far
they differ is stated, and nothing is promised."""


class DeviationFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How far answers are apart. Numbers of what there was nothing of are 0, rates are 1 and overlaps None."""

    least_score: float = LEAST_SCORE
    objects: int = 0
    """Of the reference, above `least_score`."""
    matched: int = 0
    """Pairs of one class and in one place (IoU >= 0.9, or every edge within the gate) of which at least one is above
    `least_score`."""
    unmatched: int = 0
    """Objects above `least_score`, of either side, that have no partner."""
    borderline: int = 0
    """Of those without a partner: how many a change of the score within the gate explains."""
    matched_rate: float = 1.0
    """Matched objects among all above `least_score`, the borderline ones included."""
    class_flips: int = 0
    """Objects without a partner that the other side has in the same place, as another class."""
    max_box_px: float = 0.0
    """Largest difference of an edge, over objects of one class that overlap by at least a half."""
    max_point_px: float = 0.0
    """Largest distance of a key point that both sides found."""
    max_score: float = 0.0
    """Largest difference of a score: of objects, of key points and of classes."""
    mean_mask_iou: float | None = None
    min_mask_iou: float | None = None
    classified: int = 0
    """Images with one best class, or labels decided on."""
    top1_flips: int = 0
    """Images whose best class is another one."""
    label_flips: int = 0
    """Labels that one side gave and the other did not."""
    pixels: int = 0
    """Of segmentation maps."""
    pixel_flips: int = 0
    """Pixels with another class."""
    not_finite: int = 0
    """NaN and infinite numbers in the answers that were judged."""


class Deviation(DeviationFacts, frozen=True, kw_only=True):
    """The same, with what is needed to judge it."""

    unmatched_scores: tuple[float, ...] = ()
    """Of the objects above `least_score`, of either side, that have no partner."""
    labels_same: int = 0
    """Best classes, or labels, that either side scores above `least_score`: those both sides say."""
    labels_different: int = 0
    """The same, those that only one side says."""
    incomparable: tuple[str, ...] = ()
    """Answers that could not be laid side by side, and why."""

    @property
    def compared(self) -> bool:
        """Whether there was anything to compare."""
        return bool(self.matched or self.unmatched or self.classified or self.pixels)

    def facts(self, gate: Gate | None) -> DeviationFacts:
        """What is written down, under the gate it is judged by."""
        facts = {name: getattr(self, name) for name in DeviationFacts.__struct_fields__}
        return DeviationFacts(**{**facts, "borderline": 0 if gate is None else self.within_score(gate)})

    def within_score(self, gate: Gate) -> int:
        """Objects without a partner that a change of the score within the gate explains."""
        return sum(score <= self.least_score + gate.score for score in self.unmatched_scores)

    def beyond(self, gate: Gate | None) -> tuple[str, ...]:
        """What is beyond the gate, in words; empty: it passes. Without a gate, only what is no answer at all."""
        found = [*self.incomparable]
        if self.not_finite:
            found.append(f"{self.not_finite} numbers of the answers are not finite")
        if gate is not None:
            found += [*_objects_beyond(self, gate), *_differences_beyond(self, gate), *_classes_beyond(self, gate)]
        return tuple(found)


def gate_between(reference: Quantization | None, other: Quantization | None) -> Gate | None:
    """The gate of the coarser of the two; None where there is none for one of them."""
    gates = [GATES.get(kind or Quantization.UNKNOWN) for kind in (reference, other)]
    if None in gates:
        return None
    return FP16 if FP16 in gates else FP32


def predictions_in(answer: object) -> Iterator[Prediction]:
    """Every prediction in what a model returned, in order: it may be one, a list, or a tuple of lists."""
    if isinstance(answer, Prediction):
        yield answer
    elif isinstance(answer, list | tuple):
        for part in answer:
            yield from predictions_in(part)


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
        found.number += 1
        if type(first) is not type(second):
            found.differ(f"is {type(second).__name__}", type(first).__name__)
            continue
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is counted
            first.numpy().compare(second.numpy(), found)
    masks, alone, matched = found.overlaps, len(found.unmatched), found.numbers.get("matched", 0)
    return Deviation(
        least_score=least_score,
        unmatched=alone,
        unmatched_scores=tuple(found.unmatched),
        matched_rate=matched / (matched + alone) if matched + alone else 1.0,
        mean_mask_iou=float(np.mean(masks)) if masks else None,
        min_mask_iou=min(masks) if masks else None,
        incomparable=tuple(found.incomparable),
        **found.numbers,
    )


def _objects_beyond(found: Deviation, gate: Gate) -> Iterator[str]:
    alone = found.unmatched - found.within_score(gate)
    total = found.matched + alone
    if alone and found.matched / total < gate.matched:
        allowed = f"{1 - gate.matched:.1%}" if gate.matched < 1 else "none"
        yield f"{alone} of {total} objects have no partner (allowed: {allowed})"
        if found.class_flips:
            yield f"{found.class_flips} objects have another class in the same place"


def _differences_beyond(found: Deviation, gate: Gate) -> Iterator[str]:
    if found.max_box_px > gate.box_px:
        yield f"boxes differ by up to {found.max_box_px:.2f} px (allowed: {gate.box_px:g})"
    if found.max_point_px > gate.box_px:
        yield f"key points differ by up to {found.max_point_px:.2f} px (allowed: {gate.box_px:g})"
    if found.max_score > gate.score:
        yield f"scores differ by up to {found.max_score:.4f} (allowed: {gate.score:g})"
    if found.mean_mask_iou is not None and found.mean_mask_iou < gate.mask_iou:
        yield f"masks overlap by {found.mean_mask_iou:.3f} in the mean (at least {gate.mask_iou:g})"


def _classes_beyond(found: Deviation, gate: Gate) -> Iterator[str]:
    # With every score within the gate, only a tie can be decided otherwise.
    if found.max_score > gate.score and found.top1_flips:
        yield f"the best class is another one on {found.top1_flips} of {found.classified} images"
    if found.max_score > gate.score and found.label_flips:
        yield f"{found.label_flips} labels are given by one side only"
    if found.pixels and found.pixel_flips / found.pixels > gate.pixels:
        share = found.pixel_flips / found.pixels
        yield f"{share:.2%} of the pixels have another class (allowed: {gate.pixels:.1%})"
