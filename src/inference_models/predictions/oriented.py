"""`OrientedDetections`: the rotated boxes of one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.predictions.boxes import BoxPrediction
from inference_models.predictions.plain import array_to_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import supervision
    from typing_extensions import Self

    from inference_models.arrays import Array, NumpyArray
    from inference_models.predictions.comparison import Comparison
    from inference_models.predictions.plain import Plain


@dataclass(eq=False, repr=False)
class OrientedDetections(BoxPrediction):
    """The objects found in one image, with a rotated box each; rows behave like those of `Detections`.

    The dictionary is that of `Detections` with `xywhr` behind `xyxy` in every detection.
    """

    xyxy: Array
    """(n, 4) float32, the upright box around the rotated one, in pixels of the original image and clamped to it."""
    class_id: Array
    """(n,) int32."""
    confidence: Array
    """(n,) float32 in 0..1."""
    xywhr: Array
    """(n, 5) float32: centre x y, width, height in pixels of the original image, not clamped, and the angle in radians
    from 0 to pi / 2, clockwise as seen in the picture."""
    image_metadata: dict[str, Any] | None = None
    """Facts about the whole image."""
    bboxes_metadata: list[dict[str, Any]] | None = None
    """Facts about each box."""
    class_names: Sequence[str] | None = None
    """Name of class 0, 1, ...; used by `repr`, JSON and drawing."""

    ARRAYS: ClassVar[tuple[str, ...]] = (*BoxPrediction.ARRAYS, "xywhr")
    COLUMNS: ClassVar[tuple[str, ...]] = ("xyxy", "xywhr", "class_id", "class_name", "confidence")

    @property
    def polygons(self) -> NumpyArray:
        """(n, 4, 2) float32 corners x y in pixels of the original image, clockwise; on the host."""
        x, y, width, height, angle = to_numpy(self.xywhr).astype(np.float64).T
        right, down = np.array([-1, 1, 1, -1]) * width[:, None] / 2, np.array([-1, -1, 1, 1]) * height[:, None] / 2
        cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
        corners = np.stack(
            [x[:, None] + right * cosine - down * sine, y[:, None] + right * sine + down * cosine], axis=2
        )
        return corners.astype(np.float32)

    def compare(self, other: Self, found: Comparison) -> None:
        """Add how far the boxes of `other`, corner by corner, their classes and scores are from these."""
        found.count_not_finite(self.xywhr, other.xywhr)
        same = self._compare_boxes(other, found)
        first, second = self.polygons[same[:, 0]], other.polygons[same[:, 1]]
        # The same box has four descriptions: any corner may be the first.
        turned = np.stack([np.roll(second, step, axis=1) for step in range(4)])
        away = np.hypot(*np.moveaxis(turned.astype(np.float64) - first, -1, 0)).max(axis=-1, initial=0)
        found.widen("max_box_px", away.min(axis=0))

    def to_supervision(self) -> supervision.Detections:
        """The same boxes for Supervision, with corners in `data["xyxyxyxy"]`, as its oriented annotators read them.

        `data["class_name"]` holds the names where `class_names` is known.

        Raises:
            MissingDependencyError: Supervision is not installed.
        """
        from inference_models.predictions.to_supervision import boxes_to_supervision  # noqa: PLC0415

        values = {name: array for name, array in self._on_host().items() if name != "xywhr"}
        return boxes_to_supervision(values, names=self._names(), corners=self.polygons)

    def to_coco(self, image_id: int = 0) -> list[dict[str, Plain]]:
        """The rows as results of COCO: upright `bbox` x y width height, and the corners in `segmentation`.

        Args:
            image_id: of the image in the data set.
        """
        plain = [
            array_to_plain(values)
            for values in (self.xyxy, self.polygons.reshape(-1, 8), self.class_id, self.confidence)
        ]
        return [
            {
                "image_id": image_id,
                "category_id": category,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "segmentation": [corners],
                "score": score,
            }
            for (x1, y1, x2, y2), corners, category, score in zip(*plain, strict=True)
        ]

    def to_dota(self) -> str:
        """The rows as an annotation of DOTA: eight corner coordinates, class and difficulty 0, one line each.

        White space in the name of a class becomes `-`: it separates the fields.
        """
        rows = zip(self.polygons.reshape(-1, 8), self.labels(), strict=True)
        lines = [f"{' '.join(f'{value:.1f}' for value in row)} {'-'.join(name.split())} 0\n" for row, name in rows]
        return "".join(lines)

    @classmethod
    def _shapes(cls, data: dict[str, Plain]) -> dict[str, tuple[int, ...]]:
        return {**super()._shapes(data), "xywhr": (0, 5)}
