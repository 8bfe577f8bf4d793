"""How far apart the answers of two packages are, and whether that is beyond a gate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.parity.gates import Gate

LEAST_SCORE = 0.3


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """How far answers are apart. Numbers of what there was nothing of are 0, rates are 1 and overlaps None."""

    images: int
    least_score: float = LEAST_SCORE
    objects: int = 0
    """Of the reference, above `least_score`."""
    matched: int = 0
    """Pairs of one class and in one place (IoU >= 0.9, or every edge within the gate) of which at least one is above
    `least_score`."""
    unmatched_scores: tuple[float, ...] = field(default=(), repr=False)
    """Scores of the objects above `least_score`, of either side, that have no partner."""
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
    labels_same: int = 0
    """Best classes, or labels, that either side scores above `least_score`: those both sides say."""
    labels_different: int = 0
    """The same, those that only one side says."""
    pixels: int = 0
    """Of segmentation maps."""
    pixel_flips: int = 0
    """Pixels with another class."""
    not_finite: int = 0
    """NaN and infinite numbers in the answers that were judged."""
    incomparable: tuple[str, ...] = ()
    """Answers that could not be laid side by side, and why."""

    @property
    def matched_rate(self) -> float:
        """Matched objects among all above `least_score`, the borderline ones included."""
        total = self.matched + len(self.unmatched_scores)
        return self.matched / total if total else 1.0

    @property
    def compared(self) -> bool:
        """Whether there was anything to compare."""
        return bool(self.matched or self.unmatched_scores or self.classified or self.pixels)

    def borderline(self, gate: Gate) -> int:
        """Objects without a partner that a change of the score within the gate explains."""
        return sum(score <= self.least_score + gate.score for score in self.unmatched_scores)

    def within(self, gate: Gate | None) -> tuple[str, ...]:
        """What is beyond the gate, in words; empty: it passes. Without a gate, only what is no answer at all."""
        found = [*self.incomparable]
        if self.not_finite:
            found.append(f"{self.not_finite} numbers of the answers are not finite")
        if gate is not None:
            found += [*_objects_beyond(self, gate), *_differences_beyond(self, gate), *_classes_beyond(self, gate)]
        return tuple(found)


def _objects_beyond(found: Deviation, gate: Gate) -> Iterator[str]:
    borderline = found.borderline(gate)
    alone = len(found.unmatched_scores) - borderline
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
