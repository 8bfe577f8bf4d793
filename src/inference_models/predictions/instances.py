"""`InstanceDetections`: boxes with masks, and `InstancesRLEMasks`, the masks as COCO run lengths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.errors import InvalidParameterError
from inference_models.predictions.boxes import BoxPrediction, boxes_from_dict, boxes_to_dict
from inference_models.predictions.container import check_head
from inference_models.predictions.indexing import rows_of, single_row, take, take_list
from inference_models.predictions.rle import compress_counts, count_runs, decode_mask, read_counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import supervision
    from typing_extensions import Self

    from inference_models.arrays import Array, NumpyArray
    from inference_models.predictions.comparison import Comparison
    from inference_models.predictions.indexing import Positions, RowIndex
    from inference_models.predictions.plain import Plain
    from inference_models.predictions.rle import CocoRLE

MaskSize: TypeAlias = tuple[int, int]
"""(height, width)."""
_SIZES = ("mask_size", "image_size", "mask_frame_size")


@dataclass
class InstancesRLEMasks:
    """The masks of one image as COCO run lengths: a few hundred bytes each, whatever the size of the image.

    `len(masks)` is their number; iteration and `masks[0]` give COCO dictionaries; a slice, a list or array of
    numbers, or one bool per mask give new `InstancesRLEMasks`.
    """

    image_size: MaskSize
    """(height, width) of the original image."""
    masks: list[bytes]
    """Compressed COCO counts, one per instance."""
    mask_size: MaskSize | None = None
    """(height, width) of the grid that the counts fill; the size of the image when not said."""

    def __post_init__(self) -> None:
        if self.mask_size is None:
            self.mask_size = self.image_size

    @classmethod
    def from_coco_rle_masks(
        cls, image_size: MaskSize, masks: Iterable[Mapping[str, Any]], mask_size: MaskSize | None = None
    ) -> Self:
        """The masks of COCO dictionaries `{"size": [h, w], "counts": bytes, text or run lengths}`.

        Args:
            image_size: (height, width) of the original image.
            masks: one dictionary per instance.
            mask_size: (height, width) of the masks; default: the size that the masks state, else that of the image.

        Raises:
            InvalidParameterError: the masks have different sizes, or counts cannot be read.
        """
        masks = list(masks)
        sizes = {(int(mask["size"][0]), int(mask["size"][1])) for mask in masks}
        if mask_size is None and len(sizes) == 1:
            (mask_size,) = sizes
        if sizes - {mask_size}:
            _refuse_sizes(sizes, mask_size)
        return cls((int(image_size[0]), int(image_size[1])), [_as_bytes(mask["counts"]) for mask in masks], mask_size)

    @classmethod
    def from_dense(cls, masks: Array, image_size: MaskSize | None = None) -> Self:
        """The run lengths of (n, H, W) masks; `image_size` is (H, W) unless it is given."""
        pixels = to_numpy(masks)
        mask_size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
        return cls(image_size or mask_size, [compress_counts(count_runs(mask)) for mask in pixels], mask_size)

    def to_coco_rle_masks(self) -> list[CocoRLE]:
        """One COCO dictionary `{"size": [h, w], "counts": bytes}` per instance."""
        return list(self)

    def to_dense(self) -> NumpyArray:
        """(n, H, W) bool masks on the grid of `mask_size`.

        Raises:
            InvalidParameterError: the runs of a mask do not fill the grid.
        """
        dense = np.zeros((len(self), *self._grid), dtype=np.bool_)
        for row, mask in enumerate(self):
            dense[row] = decode_mask(mask)
        return dense

    def __len__(self) -> int:
        return len(self.masks)

    def __iter__(self) -> Iterator[CocoRLE]:
        for counts in self.masks:
            yield {"size": list(self._grid), "counts": counts}

    @overload
    def __getitem__(self, index: int) -> CocoRLE: ...

    @overload
    def __getitem__(self, index: RowIndex) -> Self: ...

    def __getitem__(self, index: int | RowIndex) -> CocoRLE | Self:
        row = single_row(index, len(self))
        if row is not None:
            return {"size": list(self._grid), "counts": self.masks[row]}
        return replace(self, masks=[self.masks[row] for row in rows_of(index, len(self))])

    def __repr__(self) -> str:
        return f"InstancesRLEMasks({len(self)} of {self._grid[0]}x{self._grid[1]})"

    @property
    def _grid(self) -> MaskSize:
        return self.mask_size or self.image_size


@dataclass(eq=False, repr=False)
class InstanceDetections(BoxPrediction):
    """The objects found in one image, with a mask each; rows behave like those of `Detections`."""

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

    def __post_init__(self) -> None:
        if self.mask_size is None:
            self.mask_size = _grid_of(self.mask)

    def compare(self, other: Self, found: Comparison) -> None:
        """Add how far the boxes of `other` are from these, and how much the masks of the same objects overlap."""
        same = self._compare_boxes(other, found)
        if self.mask is not None and other.mask is not None:
            found.overlaps += [_mask_iou(self.mask[row], other.mask[column]) for row, column in same.tolist()]

    def to_supervision(self) -> supervision.Detections:
        """The same objects for Supervision, boxes and (n, H, W) bool masks in pixels of the original image.

        Masks on a coarser grid are resized (nearest pixel) and what the grid does not cover stays empty;
        `data["class_name"]` holds the names where `class_names` is known.

        Raises:
            MissingDependencyError: Supervision is not installed.
        """
        from inference_models.predictions.to_supervision import instances_to_supervision  # noqa: PLC0415

        return instances_to_supervision(self)

    def to_dict(self) -> dict[str, Plain]:
        """The dictionary of `Detections.to_dict` with run lengths as pycocotools reads them, and what they lie on.

        ```
        {"type": "InstanceDetections", "schema_version": 1,
         "detections": [{"xyxy": [...], "class_id": 0, "class_name": "face", "confidence": 0.93,
                         "mask": {"size": [480, 640], "counts": "..."}}],
         "masks": {"format": "dense" or "rle", "size": [480, 640], "dtype": "bool" or "image_size": [480, 640]},
         "mask_size": [480, 640] or null, "image_size": ... , "mask_frame_size": ..., and the rest as there}
        ```

        Raises:
            InvalidParameterError: the fields differ in length, a dense mask holds values other than 0 and 1, or
                metadata holds a value without a JSON form.
        """
        from inference_models.predictions.mask_json import masks_to_plain  # noqa: PLC0415

        data = boxes_to_dict(self)
        rows, about = masks_to_plain(self.mask, len(self))
        for detection, mask in zip(data["detections"], rows, strict=True):
            detection["mask"] = mask
        sizes = {name: getattr(self, name) for name in _SIZES}
        return {**data, "masks": about, **{name: size and [int(side) for side in size] for name, size in sizes.items()}}

    @classmethod
    def from_dict(cls, data: dict[str, Plain]) -> Self:
        """The instances of `to_dict`, with NumPy arrays of the types they had.

        Raises:
            InvalidParameterError: the dictionary was not made by `InstanceDetections.to_dict`.
        """
        from inference_models.predictions.mask_json import masks_from_plain  # noqa: PLC0415

        check_head(cls, data, "masks", *_SIZES)
        values = boxes_from_dict(cls, data)
        mask = masks_from_plain([row["mask"] for row in data["detections"]], data["masks"])
        sizes: dict[str, Any] = {name: data[name] and tuple(data[name]) for name in _SIZES}
        return cls(**values, mask=mask, **sizes)

    def _mask_of(self, row: int) -> Any:
        return None if self.mask is None else self.mask[row]

    def _rows(self, rows: Positions) -> Self:
        mask = self.mask[rows] if isinstance(self.mask, InstancesRLEMasks) else take(self.mask, rows)
        return replace(
            self,
            xyxy=take(self.xyxy, rows),
            class_id=take(self.class_id, rows),
            confidence=take(self.confidence, rows),
            mask=mask,
            bboxes_metadata=take_list(self.bboxes_metadata, rows),
        )


def _grid_of(mask: Array | InstancesRLEMasks | None) -> MaskSize | None:
    if mask is None:
        return None
    if isinstance(mask, InstancesRLEMasks):
        return mask.mask_size
    height, width = mask.shape[-2:]
    return int(height), int(width)


def _mask_iou(first: Any, second: Any) -> float:
    """Of two masks on one grid; 0 where the grids differ, 1 where both are empty."""
    left, right = (decode_mask(mask) if isinstance(mask, dict) else to_numpy(mask) > 0 for mask in (first, second))
    if left.shape != right.shape:
        return 0.0
    covered = int((left | right).sum())
    return int((left & right).sum()) / covered if covered else 1.0


def _as_bytes(counts: bytes | str | Sequence[int]) -> bytes:
    if isinstance(counts, bytes):
        return counts
    return counts.encode("ascii") if isinstance(counts, str) else compress_counts(read_counts(counts))


def _refuse_sizes(sizes: set[MaskSize], mask_size: MaskSize | None) -> None:
    found = ", ".join(f"{height} x {width}" for height, width in sorted(sizes))
    raise InvalidParameterError(
        "the masks of one image cannot be put together.",
        needs="masks of one size" if mask_size is None else f"masks of {mask_size[0]} x {mask_size[1]}",
        found=found,
        fix="pass the masks of one image, and mask_size=(height, width) only if it is theirs",
    )
