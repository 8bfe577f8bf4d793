"""`FeatureMatches`: which points of one picture are which points of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from inference_models.predictions.container import Prediction
from inference_models.predictions.plain import array_from_plain, array_to_plain

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.predictions.comparison import Comparison
    from inference_models.predictions.plain import Plain


@dataclass(eq=False, repr=False)
class FeatureMatches(Prediction):
    """Pairs of points that show the same place, one in each of two pictures.

    As a dictionary and in JSON:
    ```
    {"type": "FeatureMatches", "schema_version": 1, "points": [[10.0, 20.0]], "other_points": [[14.5, 20.5]],
     "confidence": [0.93], "image_metadata": {...} or null,
     "dtypes": {"points": "float32", "other_points": "float32", "confidence": "float32"}}
    ```
    """

    points: Array
    """(N, 2) float32, x y in pixels of the first picture."""
    other_points: Array
    """(N, 2) float32, x y in pixels of the second one, in the same order."""
    confidence: Array
    """(N,) float32, 0..1."""
    image_metadata: dict[str, Any] | None = None
    """Facts about the pictures."""

    KEYS: ClassVar[tuple[str, ...]] = ("points", "other_points", "confidence", "image_metadata", "dtypes")
    ARRAYS: ClassVar[tuple[str, ...]] = ("points", "other_points", "confidence")

    def __len__(self) -> int:
        return len(self.confidence)

    def __repr__(self) -> str:
        return f"FeatureMatches({len(self)})"

    def above(self, score: float) -> FeatureMatches:
        """Only the pairs that are scored higher."""
        sure = self.confidence > score
        return FeatureMatches(self.points[sure], self.other_points[sure], self.confidence[sure], self.image_metadata)

    def compare(self, other: FeatureMatches, found: Comparison) -> None:
        """Add which pairs of `other` are these, at both ends no farther off than boxes may be."""
        ends = [np.concatenate([side.points, side.other_points], axis=1) for side in (self, other)]
        found.count_not_finite(*ends)
        close = np.abs(ends[0][:, None] - ends[1][None]).max(axis=-1, initial=0) <= found.box_px
        found.count("objects", int((self.confidence > found.least_score).sum()))
        found.count("matched", int((close.any(axis=1) & (self.confidence > found.least_score)).sum()))
        for side, axis in ((self, 1), (other, 0)):
            alone = ~close.any(axis=axis) & (side.confidence > found.least_score)
            found.unmatched += [float(score) for score in side.confidence[alone]]
        rows, columns = np.nonzero(close)
        found.widen("max_score", self.confidence[rows].astype(np.float64) - other.confidence[columns])

    def _to_plain(self) -> dict[str, Plain]:
        return {name: array_to_plain(getattr(self, name)) for name in self.ARRAYS}

    @classmethod
    def _usual(cls, data: dict[str, Plain]) -> dict[str, Plain]:  # noqa: ARG003 - of every dictionary the same
        return {"dtypes": dict.fromkeys(cls.ARRAYS, "float32")}

    @classmethod
    def _from_plain(cls, data: dict[str, Plain]) -> dict[str, Any]:
        arrays = {name: array_from_plain(data[name], data["dtypes"][name]) for name in cls.ARRAYS}
        return {
            name: array if name == "confidence" else np.asarray(array).reshape(-1, 2) for name, array in arrays.items()
        }
