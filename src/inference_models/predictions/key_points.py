"""`KeyPoints`: the key points of the objects in one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.predictions.matching import Objects
from inference_models.predictions.rows import RowPrediction

if TYPE_CHECKING:
    from collections.abc import Sequence

    import supervision
    from typing_extensions import Self

    from inference_models.arrays import Array
    from inference_models.predictions.comparison import Comparison
    from inference_models.predictions.plain import Plain

_FACTS = ("class_names", "image_metadata", "key_points_metadata")


class ObjectKeyPoints(NamedTuple):
    """The key points of one object."""

    xy: Array
    """(K, 2) x y."""
    confidence: Array
    """(K,)."""
    class_id: Any
    """A NumPy or torch scalar."""
    detection_confidence: Any
    """A NumPy or torch scalar, or None."""
    metadata: dict[str, Any]
    """Metadata of the object; empty when there is none."""
    image_metadata: dict[str, Any]
    """Metadata of the whole image; empty when there is none."""


@dataclass(eq=False, repr=False)
class KeyPoints(RowPrediction[ObjectKeyPoints]):
    """The key points of the objects in one image; the fields are NumPy arrays or torch tensors.

    `len(key_points)` is the number of objects and iteration gives one `ObjectKeyPoints` (a tuple) per object.
    Indexing follows NumPy: `key_points[0]` is what iteration gives first; a slice, a list or array of numbers, or one
    bool per object give new `KeyPoints` with copies of these rows, metadata included.

    As a dictionary and in JSON:
    ```
    {"type": "KeyPoints", "schema_version": 1,
     "objects": [{"class_id": 0, "class_name": "person", "detection_confidence": 0.93,
                  "xy": [[10, 20], ...], "confidence": [0.9, ...], "covariance": [[[4, 0], [0, 4]], ...]}],
     "key_points_per_object": 17, "class_names": ["person"] or null, "image_metadata": {...} or null,
     "key_points_metadata": [{...}] or null, "dtypes": {"xy": "float32", ..., "covariance": null}}
    ```
    What the model does not give has the dtype null and is left out of the objects; NaN is null.
    """

    xy: Array
    """(n, K, 2), x y in pixels of the original image; a point that was not found is (0, 0)."""
    class_id: Array
    """(n,) int32."""
    confidence: Array
    """(n, K) float32 in 0..1; 0 for a point that was not found."""
    image_metadata: dict[str, Any] | None = None
    """Facts about the whole image."""
    key_points_metadata: list[dict[str, Any]] | None = None
    """Facts about each object."""
    covariance: Array | None = None
    """(n, K, 2, 2) float32 in square pixels; NaN for a point that was not found."""
    detection_confidence: Array | None = None
    """(n,) float32, how sure the model is of each object as a whole."""
    class_names: Sequence[str] | None = None
    """Name of class 0, 1, ...; used by `repr`, JSON and drawing."""

    ROWS: ClassVar[str] = "objects"
    KEYS: ClassVar[tuple[str, ...]] = (ROWS, "key_points_per_object", *_FACTS, "dtypes")
    ARRAYS: ClassVar[tuple[str, ...]] = ("class_id", "detection_confidence", "xy", "confidence", "covariance")
    COLUMNS: ClassVar[tuple[str, ...]] = ("class_name", *ARRAYS)
    ROW_METADATA: ClassVar[str] = "key_points_metadata"

    def to_supervision(self) -> supervision.KeyPoints:
        """The same key points for Supervision; a point is visible when its confidence is above 0.

        `data` holds `covariance`, and `class_name` where `class_names` is known.

        Raises:
            MissingDependencyError: Supervision 0.29 or newer is not installed.
        """
        from inference_models.predictions.to_supervision import key_points_to_supervision  # noqa: PLC0415

        host = self.numpy()
        values = {
            "xy": host.xy.astype(np.float32, copy=False),
            "class_id": host.class_id,
            "keypoint_confidence": host.confidence,
            "visible": host.confidence > 0,
            "detection_confidence": host.detection_confidence,
        }
        return key_points_to_supervision(values, names=self._names(), covariance=host.covariance)

    def compare(self, other: Self, found: Comparison) -> None:
        """Add how far the objects of `other`, their points and scores are from these."""
        for points in (self, other):
            found.count_not_finite(points.xy, points.confidence, points.detection_confidence)
        _, known = found.match(self._objects(), other._objects())
        rows = known[:, 0], known[:, 1]
        first, second = self.confidence[rows[0]].astype(np.float64), other.confidence[rows[1]].astype(np.float64)
        if first.shape != second.shape:
            found.incomparable.append(f"{second.shape[1]} key points per object, {first.shape[1]} in the reference")
            return
        away = np.hypot(*np.moveaxis(self.xy[rows[0]].astype(np.float64) - other.xy[rows[1]], -1, 0))
        above = first > found.least_score, second > found.least_score
        found.widen("max_point_px", away[above[0] & above[1]])
        # A point that one side lost has no place there; its score tells.
        found.widen("max_score", (first - second)[above[0] | above[1]])

    def above(self, score: float) -> Self:
        """Only the objects of which the model is surer; all where it does not say how sure it is of an object."""
        return self if self.detection_confidence is None else self[self.detection_confidence > score]

    def _to_plain(self) -> dict[str, Plain]:
        return {**super()._to_plain(), "key_points_per_object": int(self.xy.shape[1])}

    @classmethod
    def _shapes(cls, data: dict[str, Plain]) -> dict[str, tuple[int, ...]]:
        points = data["key_points_per_object"]
        one = {"class_id": (), "detection_confidence": (), "xy": (points, 2), "confidence": (points,)}
        return {name: (0, *shape) for name, shape in {**one, "covariance": (points, 2, 2)}.items()}

    def _objects(self) -> Objects:
        """The box around the points of each object that were found, and how sure the model is of it."""
        found = np.asarray(self.confidence) > 0
        xy = np.asarray(self.xy, np.float64)
        low = np.where(found[..., None], xy, np.inf).min(axis=1, initial=np.inf)
        high = np.where(found[..., None], xy, -np.inf).max(axis=1, initial=-np.inf)
        some = np.isfinite(low).all(axis=1, keepdims=True)
        sure = self.detection_confidence
        return Objects.of(
            np.where(some, np.concatenate([low, high], axis=1), 0.0),
            self.class_id,
            np.asarray(self.confidence).max(axis=1, initial=0.0) if sure is None else sure,
        )

    def _row(self, row: int) -> ObjectKeyPoints:
        sure = self.detection_confidence
        return ObjectKeyPoints(
            self.xy[row],
            self.confidence[row],
            self.class_id[row],
            None if sure is None else sure[row],
            self._metadata_of(row),
            self.image_metadata or {},
        )

    def _describe(self, row: int) -> str:
        scores = to_numpy(self.confidence[row])
        return f"{self._label(row)} {int((scores > 0).sum())}/{scores.size} points"
