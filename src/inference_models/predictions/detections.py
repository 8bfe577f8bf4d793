"""`Detections`: the boxes of one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference_models.predictions.boxes import BoxPrediction

if TYPE_CHECKING:
    from collections.abc import Sequence

    import supervision

    from inference_models.arrays import Array


@dataclass(eq=False, repr=False)
class Detections(BoxPrediction):
    """The objects found in one image; the fields are NumPy arrays or torch tensors.

    `len(detections)` is the number of boxes and iteration gives one `DetectedObject` (a tuple of seven) per box.
    Indexing follows NumPy: `detections[0]` is the same `DetectedObject` that iteration gives first; a slice, a list
    or array of numbers, or one bool per box give new `Detections` with copies of these rows, metadata included.

    As a dictionary and in JSON:
    ```
    {"type": "Detections", "schema_version": 1,
     "detections": [{"xyxy": [224.5, 64, 300, 172], "class_id": 0, "class_name": "face", "confidence": 0.93}],
     "class_names": ["face"] or null, "image_metadata": {...} or null, "bboxes_metadata": [{...}] or null,
     "dtypes": {"xyxy": "float32", "class_id": "int32", "confidence": "float32"}}
    ```
    `class_name` is left out where nobody knows it. Reading ignores it and keys that it does not know.
    """

    xyxy: Array
    """(n, 4) float32, x1 y1 x2 y2 in pixels of the original image."""
    class_id: Array
    """(n,) int32."""
    confidence: Array
    """(n,) float32 in 0..1."""
    image_metadata: dict[str, Any] | None = None
    """Facts about the whole image."""
    bboxes_metadata: list[dict[str, Any]] | None = None
    """Facts about each box, such as `text`, `polygon`, `class_name` or `tracker_id`."""
    class_names: Sequence[str] | None = None
    """Name of class 0, 1, ...; used by `repr`, JSON and drawing."""

    def to_supervision(self) -> supervision.Detections:
        """The same boxes for Supervision; `data["class_name"]` holds their names where `class_names` is known.

        Raises:
            MissingDependencyError: Supervision is not installed.
        """
        from inference_models.predictions.to_supervision import boxes_to_supervision  # noqa: PLC0415

        return boxes_to_supervision(self._on_host(), names=self._names())
