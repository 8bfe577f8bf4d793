"""Masks of instances as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.errors import InvalidParameterError
from inference_models.predictions.instances import InstancesRLEMasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.arrays import Array, NumpyArray
    from inference_models.predictions.plain import Plain


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
