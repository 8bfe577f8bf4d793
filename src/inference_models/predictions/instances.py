"""`InstanceDetections`: boxes with masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.predictions.boxes import BoxPrediction
from inference_models.predictions.masks import InstancesRLEMasks, MaskGrid, masks_from_plain, masks_to_plain
from inference_models.predictions.rle import decode_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import supervision
    from typing_extensions import Self

    from inference_models.arrays import Array, NumpyArray
    from inference_models.predictions.comparison import Comparison
    from inference_models.predictions.masks import Mask, MaskSize
    from inference_models.predictions.plain import Plain

_SIZES = ("mask_size", "image_size", "mask_frame_size")


@dataclass(eq=False, repr=False)
class InstanceDetections(BoxPrediction):
    """The objects found in one image, with a mask each; rows behave like those of `Detections`.

    The dictionary is that of `Detections` with run lengths as pycocotools reads them, and what they lie on:
    ```
    {"type": "InstanceDetections", "schema_version": 1,
     "detections": [{"xyxy": [...], "class_id": 0, "class_name": "face", "confidence": 0.93,
                     "mask": {"size": [480, 640], "counts": "..."}}],
     "masks": {"format": "dense" or "rle", "size": [480, 640], "dtype": "bool" or "image_size": [480, 640]},
     "mask_size": [480, 640] or null, "image_size": ... , "mask_frame_size": ..., and the rest as there}
    ```
    """

    xyxy: Array
    """(n, 4) float32, x1 y1 x2 y2 in pixels of the mask grid, which usually is the original image."""
    class_id: Array
    """(n,) int32."""
    confidence: Array
    """(n,) float32 in 0..1."""
    mask: Array | InstancesRLEMasks
    """(n, H, W) bool, or the same as run lengths."""
    image_metadata: dict[str, Any] | None = None
    """Facts about the whole image."""
    bboxes_metadata: list[dict[str, Any]] | None = None
    """Facts about each box."""
    mask_size: MaskSize | None = None
    """(height, width) of the mask grid; taken from the masks when not said."""
    image_size: MaskSize | None = None
    """(height, width) of the original image; None: the mask grid is the image."""
    mask_frame_size: MaskSize | None = None
    """(height, width) of the part of the image, from its top left corner, that the grid covers; None: all of it."""
    class_names: Sequence[str] | None = None
    """Name of class 0, 1, ...; used by `repr`, JSON and drawing."""

    KEYS: ClassVar[tuple[str, ...]] = (*BoxPrediction.KEYS, "masks", *_SIZES)

    def __post_init__(self) -> None:
        if self.mask_size is None:
            self.mask_size = _grid_of(self.mask)

    def compare(self, other: Self, found: Comparison) -> None:
        """Add how far the boxes of `other` are from these, and how much the masks of the same objects overlap."""
        same = self._compare_boxes(other, found)
        if self.mask is not None and other.mask is not None:
            found.overlaps += [_mask_iou(self.mask[row], other.mask[column]) for row, column in same.tolist()]

    def canvas(self) -> MaskSize:
        """(height, width) of the original image; of the mask grid when unknown; (0, 0) where there is no mask."""
        return self.image_size or self.mask_size or (0, 0)

    def boxes_on_image(self) -> NumpyArray:
        """(n, 4) boxes in pixels of the original image, clamped to it; untouched where the grid is the image."""
        return to_numpy(self.xyxy) if self.mask_size is None else self._grid().boxes_on_image(to_numpy(self.xyxy))

    def masks_on_image(self) -> Iterator[Mask]:
        """One (H, W) bool mask after the other, on the pixels of the original image."""
        return map(self._grid().mask_on_image, map(_pixels, self.mask))

    def to_supervision(self) -> supervision.Detections:
        """The same objects for Supervision, boxes and (n, H, W) bool masks in pixels of the original image.

        Masks on a coarser grid are resized (nearest pixel) and what the grid does not cover stays empty;
        `data["class_name"]` holds the names where `class_names` is known.

        Raises:
            MissingDependencyError: Supervision is not installed.
        """
        from inference_models.predictions.to_supervision import boxes_to_supervision  # noqa: PLC0415

        masks = np.stack([*self.masks_on_image()]) if len(self) else np.zeros((0, *self.canvas()), np.bool_)
        values = {**self._on_host(), "xyxy": self.boxes_on_image(), "mask": masks}
        return boxes_to_supervision(values, names=self._names())

    def _to_plain(self) -> dict[str, Plain]:
        data = super()._to_plain()
        rows, about = masks_to_plain(self.mask, len(self))
        for detection, mask in zip(data[self.ROWS], rows, strict=True):
            detection["mask"] = mask
        return {**data, "masks": about}

    @classmethod
    def _from_plain(cls, data: dict[str, Plain]) -> dict[str, Any]:
        sizes = {name: data[name] and tuple(data[name]) for name in _SIZES}
        mask = masks_from_plain([row["mask"] for row in data[cls.ROWS]], data["masks"])
        return {**super()._from_plain(data), **sizes, "mask": mask}

    def _mask_of(self, row: int) -> Any:
        return None if self.mask is None else self.mask[row]

    def _grid(self) -> MaskGrid:
        image = self.canvas()
        return MaskGrid(self.mask_size or image, self.mask_frame_size or image, image)


def _grid_of(mask: Array | InstancesRLEMasks | None) -> MaskSize | None:
    if mask is None:
        return None
    if isinstance(mask, InstancesRLEMasks):
        return mask.mask_size
    height, width = mask.shape[-2:]
    return int(height), int(width)


def _pixels(mask: Any) -> Mask:
    return decode_mask(mask) if isinstance(mask, dict) else to_numpy(mask) > 0


def _mask_iou(first: Any, second: Any) -> float:
    """Of two masks on one grid; 0 where the grids differ, 1 where both are empty."""
    left, right = _pixels(first), _pixels(second)
    if left.shape != right.shape:
        return 0.0
    covered = int((left | right).sum())
    return int((left & right).sum()) / covered if covered else 1.0
