"""The masks of one image in the form that was asked for; work grows with what was found, not with the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import field

from inference_models.arrays import is_torch, to_numpy, to_torch
from inference_models.decoders.masks import Axis, MaskSampler
from inference_models.predictions.masks import InstancesRLEMasks
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from inference_models.arrays import Array, NumpyArray
    from inference_models.decoders.masks import MaskMaps, MaskPart
    from inference_models.entities import InstanceSegmentationMaskFormat
    from inference_models.families import InstanceGraph
    from inference_models.preprocess.geometry import ImageTransform


class MaskWriter(Record, frozen=True):
    """Writes the masks of the objects of one image."""

    maps: MaskMaps
    sampler: MaskSampler
    image_size: tuple[int, int]
    family: InstanceGraph
    rows: list[int] = field(default_factory=list)
    """The objects that were written; others have no pixel."""

    @classmethod
    def of(
        cls, maps: MaskMaps, transform: ImageTransform, family: InstanceGraph, rule: tuple[bool, float]
    ) -> MaskWriter:
        """For maps over the network input that `transform` led to; `rule` is `smooth` and `threshold` of a sampler."""
        rows, columns = (
            Axis.of(*transform.cells_under(1 - axis, cells), cells) for axis, cells in enumerate(maps.size)
        )
        return cls(maps, MaskSampler(rows, columns, *rule), transform.image_size, family)

    def write(self, xyxy: Array, form: InstanceSegmentationMaskFormat) -> tuple[Any, list[dict[str, Any]] | None]:
        """The masks, and what is said of each object besides; `xyxy` are (n, 4) boxes in pixels of the image."""
        masks, facts = write_parts(self._parts(xyxy), form, self.image_size, most=self.maps.count)
        return to_torch(masks, str(xyxy.device)) if form == "dense" and is_torch(xyxy) else masks, facts

    def _parts(self, xyxy: Array) -> Iterator[MaskPart]:
        boxes = to_numpy(xyxy)
        for row, logits in enumerate(self.maps):
            part = self.sampler.part(logits, boxes[row] if self.family.in_boxes else None)
            if not self.family.with_pixels or part.pixels.any():
                self.rows.append(row)
                yield part


def write_parts(
    parts: Iterable[MaskPart], form: InstanceSegmentationMaskFormat, image_size: tuple[int, int], *, most: int
) -> tuple[Any, list[dict[str, Any]] | None]:
    """The masks of at most `most` parts of an image, and what is said of each besides."""
    if form == "dense":
        masks, count = np.zeros((most, *image_size), np.bool_), 0
        for count, part in enumerate(parts, 1):
            height, width = part.pixels.shape
            masks[count - 1, part.top : part.top + height, part.left : part.left + width] = part.pixels
        return masks[:count], None
    outlines: list[dict[str, Any]] | None = None if form == "rle" else []

    def columns() -> Iterator[tuple[NumpyArray, tuple[int, int]]]:
        for part in parts:
            if outlines is not None:
                outlines.append({"polygons": _outlines(part)})
            yield part.pixels.T, (part.top, part.left)

    return InstancesRLEMasks.from_parts(columns(), image_size), outlines


def _outlines(part: MaskPart) -> list[NumpyArray]:
    """(k, 2) int32 x y of the pixels along each outer edge; holes are not told."""
    import cv2  # noqa: PLC0415

    inside = np.ascontiguousarray(part.pixels).view(np.uint8)
    if not inside.size:
        return []
    found, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(part.left, part.top))
    return [outline.reshape(-1, 2).astype(np.int32) for outline in found]
