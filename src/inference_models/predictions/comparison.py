"""How far two answers to the same images are apart: counted over pairs of predictions, each kind by its own rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.predictions.matching import match_objects

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray
    from inference_models.predictions.matching import Objects


@dataclass
class Comparison:
    """Counts and maxima, to which every pair of predictions adds what it differs in."""

    least_score: float
    """Objects, key points and labels that neither side scores higher are not compared."""
    box_px: float
    """Boxes no edge of which is farther off are in the same place, whatever their overlap."""
    numbers: dict[str, Any] = field(default_factory=dict)
    """Counts and largest differences by name."""
    unmatched: list[float] = field(default_factory=list)
    """Scores of the objects, of either side, that have no partner."""
    overlaps: list[float] = field(default_factory=list)
    """Of the masks of the same objects."""
    incomparable: list[str] = field(default_factory=list)
    """Why predictions could not be laid side by side."""

    number: int = -1
    """Of the answer that is compared, from 0."""

    def match(self, reference: Objects, other: Objects) -> tuple[NumpyArray, NumpyArray]:
        """(k, 2) row numbers of the objects that are the same, and of those that may have moved; counts all others."""
        above = reference.score > self.least_score, other.score > self.least_score
        matches = match_objects(reference, other, self.box_px)
        same, moved, renamed = (
            pairs[above[0][pairs[:, 0]] | above[1][pairs[:, 1]]]
            for pairs in (matches.same, matches.moved, matches.renamed)
        )
        self.count("objects", int(above[0].sum()))
        self.count("matched", len(same))
        self.count("class_flips", len(renamed))
        for side, scores in enumerate((reference.score, other.score)):
            alone = above[side].copy()
            alone[same[:, side]] = False
            self.unmatched += [float(score) for score in scores[alone]]
        known = np.concatenate([same, moved])
        self.widen("max_score", reference.score[known[:, 0]] - other.score[known[:, 1]])
        return same, known

    def same_shape(self, first: NumpyArray, second: NumpyArray) -> bool:
        """Whether two arrays can be compared; notes it where they cannot."""
        if first.shape != second.shape:
            self.differ(f"has the shape {second.shape}", first.shape)
        return first.shape == second.shape

    def count(self, name: str, number: int) -> None:
        """Add to a count."""
        self.numbers[name] = self.numbers.get(name, 0) + number

    def count_not_finite(self, *arrays: NumpyArray | None) -> None:
        """Count NaN and infinite numbers."""
        self.count("not_finite", sum(int((~np.isfinite(array)).sum()) for array in arrays if array is not None))

    def widen(self, name: str, differences: NumpyArray) -> None:
        """Raise a largest difference."""
        if differences.size:
            # NaN is counted apart; a maximum that is NaN would hide the rest.
            largest = float(np.nan_to_num(np.abs(differences), nan=0.0).max())
            self.numbers[name] = max(self.numbers.get(name, 0.0), largest)

    def differ(self, what: str, reference: object) -> None:
        """Note why two answers cannot be laid side by side."""
        self.incomparable.append(f"answer {self.number} {what}, that of the reference {reference}")
