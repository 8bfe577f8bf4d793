"""`InstancesRLEMasks`: the masks of one image as COCO run lengths, in memory and in JSON; and where masks lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, overload

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.errors import InvalidParameterError
from inference_models.predictions.rle import (
    compress_all,
    compress_counts,
    count_runs,
    count_runs_of_part,
    decode_mask,
    read_counts,
)
from inference_models.predictions.rows import rows_of, single_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt
    from typing_extensions import Self

    from inference_models.arrays import Array, NumpyArray
    from inference_models.predictions.plain import Plain
    from inference_models.predictions.rle import CocoRLE
    from inference_models.predictions.rows import RowIndex

MaskSize: TypeAlias = tuple[int, int]
"""(height, width)."""
Mask: TypeAlias = "npt.NDArray[np.bool_]"


class MaskGrid(NamedTuple):
    """Where masks lie; every size is (height, width)."""

    size: MaskSize
    """Of the grid."""
    frame: MaskSize
    """Of the part of the image, from its top left corner, that the grid covers."""
    image: MaskSize
    """Of the original image."""

    def boxes_on_image(self, xyxy: NumpyArray) -> NumpyArray:
        """(n, 4) boxes in pixels of the original image, clamped to it; untouched where the grid is the image."""
        if self.size == self.frame == self.image:
            return xyxy
        scale = np.array([self.frame[1] / self.size[1], self.frame[0] / self.size[0]] * 2)
        moved: NumpyArray = np.clip(xyxy * scale, 0, np.array([self.image[1], self.image[0]] * 2))
        return moved.astype(np.float32)

    def mask_on_image(self, mask: Mask) -> Mask:
        """A mask of any size that fills the frame, on the pixels of the original image."""
        if mask.shape == self.frame == self.image:
            return mask
        canvas = np.zeros(self.image, dtype=np.bool_)
        height, width = min(self.frame[0], self.image[0]), min(self.frame[1], self.image[1])
        # The pixel of the grid under the centre of each pixel of the image.
        rows = ((np.arange(height) + 0.5) * mask.shape[0] / self.frame[0]).astype(np.int64)
        places = ((np.arange(width) + 0.5) * mask.shape[1] / self.frame[1]).astype(np.int64)
        canvas[:height, :width] = mask[rows[:, None], places]
        return canvas


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

    @classmethod
    def from_parts(cls, parts: Iterable[tuple[Mask, tuple[int, int]]], image_size: MaskSize) -> Self:
        """The run lengths of masks that are empty outside a part: (w, h) bool column by column, and its (top, left)."""
        return cls(image_size, compress_all([count_runs_of_part(columns, at, image_size) for columns, at in parts]))

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

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NumpyArray:
        """`to_dense`, so that NumPy functions take it as masks."""
        return self.to_dense() if dtype is None else self.to_dense().astype(dtype)

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


def masks_to_plain(mask: Array | InstancesRLEMasks | None, length: int) -> tuple[list[Plain], dict[str, Plain] | None]:
    """One COCO dictionary with text counts per row, and how the masks were held.

    Raises:
        InvalidParameterError: a dense mask holds values other than 0 and 1.
    """
    if mask is None:
        return [None] * length, None
    if isinstance(mask, InstancesRLEMasks):
        return _as_text(mask), {
            "format": "rle",
            "size": _sides(mask.mask_size or mask.image_size),
            "image_size": _sides(mask.image_size),
        }
    pixels = to_numpy(mask)
    _check_binary(pixels)
    held = {"format": "dense", "size": _sides(pixels.shape[-2:]), "dtype": str(pixels.dtype)}
    return _as_text(InstancesRLEMasks.from_dense(pixels)), held


def masks_from_plain(rows: Sequence[Plain], held: dict[str, Plain] | None) -> NumpyArray | InstancesRLEMasks | None:
    """The masks of `masks_to_plain`.

    Raises:
        InvalidParameterError: the runs of a mask do not fill it.
    """
    if held is None:
        return None
    size = (held["size"][0], held["size"][1])
    image_size = tuple(held.get("image_size") or size)
    masks = InstancesRLEMasks.from_coco_rle_masks(image_size, rows, mask_size=size)
    return masks if held["format"] == "rle" else masks.to_dense().astype(held["dtype"], copy=False)


def _as_text(masks: InstancesRLEMasks) -> list[Plain]:
    return [{"size": mask["size"], "counts": mask["counts"].decode("ascii")} for mask in masks]


def _sides(size: Sequence[int]) -> list[int]:
    return [int(side) for side in size]


def _check_binary(pixels: NumpyArray) -> None:
    if pixels.dtype == np.bool_ or bool(((pixels == 0) | (pixels == 1)).all()):
        return
    raise InvalidParameterError(
        "masks cannot be written as run lengths.",
        needs="masks of bool, or of 0 and 1",
        found=f"{pixels.dtype} values from {pixels.min():g} to {pixels.max():g}",
        fix="threshold them first: mask > 0.5",
    )


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
