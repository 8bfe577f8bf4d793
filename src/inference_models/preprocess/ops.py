"""The steps before the resize: static crop, grayscale, contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.preprocess.contrast import enhance

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray
    from inference_models.entities import ColorFormat
    from inference_models.package.preprocess_spec import Contrast, Size, StaticCrop

CropWindow = tuple[int, int, int, int]
"""(left, top, right, bottom) in whole pixels, right and bottom exclusive."""


def crop_window(crop: StaticCrop, size: Size) -> CropWindow:
    """The part of an image of `size` that `crop` keeps; at least one pixel, however small the image is."""
    height, width = size
    left, right = _span(crop.x_min, crop.x_max, width)
    top, bottom = _span(crop.y_min, crop.y_max, height)
    return left, top, right, bottom


def crop_pixels(pixels: NumpyArray, window: CropWindow) -> NumpyArray:
    """The pixels (h, w, 3) inside `window`: a view."""
    left, top, right, bottom = window
    return pixels[top:bottom, left:right]


def to_grayscale(pixels: NumpyArray, color: ColorFormat) -> NumpyArray:
    """`pixels` (H, W, 3) with the luma of ITU-R BT.601 in all three channels, same dtype."""
    import cv2  # noqa: PLC0415

    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY if color == "bgr" else cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.merge([grey, grey, grey]))


def enhance_contrast(pixels: NumpyArray, contrast: Contrast) -> NumpyArray:
    """`pixels` (H, W, 3) as uint8 with the contrast enhanced; floats are rounded to 8 bits first."""
    return enhance(to_uint8(pixels), contrast)


def to_uint8(pixels: NumpyArray) -> NumpyArray:
    """`pixels`, or float pixels within 0..255 rounded to uint8."""
    if pixels.dtype == np.uint8:
        return pixels
    rounded: NumpyArray = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    return rounded


def _span(low: int, high: int, length: int) -> tuple[int, int]:
    first = min(int(low / 100 * length), length - 1)
    return first, max(int(high / 100 * length), first + 1)
