"""What `Detections` and `InstanceDetections` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.predictions.labels import coordinates
from inference_models.predictions.matching import Objects
from inference_models.predictions.rows import RowPrediction, rows_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from inference_models.arrays import Array
    from inference_models.predictions.comparison import Comparison
    from inference_models.predictions.plain import Plain


class DetectedObject(NamedTuple):
    """One row of a detection: a tuple of seven with names."""

    xyxy: Array
    """(4,) x1 y1 x2 y2."""
    mask: Any
    """(H, W) bool, a COCO dictionary `{"size": [h, w], "counts": bytes}`, or None."""
    class_id: Any
    """A NumPy or torch scalar."""
    confidence: Any
    """A NumPy or torch scalar."""
    tracker_id: Any
    """`tracker_id` of the row's metadata, or None."""
    metadata: dict[str, Any]
    """The row's metadata; empty when there is none."""
    image_metadata: dict[str, Any]
    """Metadata of the whole image; empty when there is none."""


class BoxPrediction(RowPrediction[DetectedObject]):
    """Rows of boxes with class and confidence; the fields are those of the subclasses."""

    ROWS: ClassVar[str] = "detections"
    KEYS: ClassVar[tuple[str, ...]] = (ROWS, "class_names", "image_metadata", "bboxes_metadata", "dtypes")
    ARRAYS: ClassVar[tuple[str, ...]] = ("xyxy", "class_id", "confidence")
    COLUMNS: ClassVar[tuple[str, ...]] = ("xyxy", "class_id", "class_name", "confidence")
    ROW_METADATA: ClassVar[str] = "bboxes_metadata"
    if TYPE_CHECKING:
        # Only annotations: the subclasses fix the order of the fields.
        xyxy: Array
        confidence: Array
        image_metadata: dict[str, Any] | None
        bboxes_metadata: list[dict[str, Any]] | None

    def labels(self) -> list[str]:
        """One word per row: the name of the class, or `class 7` when no name is known."""
        return [self._label(row) for row in range(len(self))]

    def compare(self, other: Self, found: Comparison) -> None:
        """Add how far the boxes of `other`, their classes and scores are from these."""
        self._compare_boxes(other, found)

    def above(self, score: float) -> Self:
        """Only the objects whose confidence is higher."""
        return self._rows(rows_of(self.confidence > score, len(self)))

    @classmethod
    def _shapes(cls, _: dict[str, Plain]) -> dict[str, tuple[int, ...]]:
        return {"xyxy": (0, 4), "class_id": (0,), "confidence": (0,)}

    def _row(self, row: int) -> DetectedObject:
        metadata = self._metadata_of(row)
        return DetectedObject(
            self.xyxy[row],
            self._mask_of(row),
            self.class_id[row],
            self.confidence[row],
            metadata.get("tracker_id"),
            metadata,
            self.image_metadata or {},
        )

    def _mask_of(self, row: int) -> Any:  # noqa: ARG002 - the rows of Detections have none
        return None

    def _compare_boxes(self, other: Self, found: Comparison) -> Array:
        """The (k, 2) row numbers of the same objects."""
        found.count_not_finite(self.xyxy, self.confidence, other.xyxy, other.confidence)
        same, known = found.match(*(Objects.of(item.xyxy, item.class_id, item.confidence) for item in (self, other)))
        found.widen("max_box_px", self.xyxy[known[:, 0]].astype(np.float64) - other.xyxy[known[:, 1]])
        return same

    def _describe(self, row: int) -> str:
        parts = []
        if self.class_id is not None:
            parts.append(self._label(row))
        if self.confidence is not None:
            parts.append(f"{float(self.confidence[row]):.2f}")
        return " ".join([*parts, coordinates(self.xyxy[row])])

    def _on_host(self) -> dict[str, Any]:
        """`xyxy`, `class_id` and `confidence` for libraries that take NumPy."""
        values = {name: getattr(self, name) for name in self.ARRAYS}
        return {name: None if array is None else to_numpy(array) for name, array in values.items()}
