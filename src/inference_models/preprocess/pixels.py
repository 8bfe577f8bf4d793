"""One image that is an array already (NumPy, torch) to (H, W, 3) pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.config import MAX_PIXELS
from inference_models.errors import ModelInputError
from inference_models.record import Record

if TYPE_CHECKING:
    from inference_models.arrays import Array, NumpyArray
    from inference_models.entities import ColorFormat

InputRange = Literal["0-1", "0-255"]

_ROUNDING = 1e-5
"""Part of the range by which a value may lie outside: interpolation of floats overshoots by about that much."""
_TO_UINT8 = {
    "b": "image.astype('uint8') * 255",
    "u": "(image // 257).astype('uint8') when its values go up to 65535",
    "i": "image.clip(0, 255).astype('uint8')",
    "O": "np.stack of images that have one size",
}
_CHANNELS = (1, 3, 4)


class SourceImage(Record, frozen=True, eq=False):
    """One image, decoded and checked."""

    pixels: NumpyArray
    """(H, W, 3) uint8, or float32 within 0..255. May share memory with what the caller passed: never written to."""
    color: ColorFormat
    """Order of the channels."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def arguments(self) -> dict[str, Any]:
        """The image as another model takes it, by the names of its arguments."""
        of_floats = {"input_range": "0-255"} if self.pixels.dtype.kind == "f" else {}
        return {"images": [self.pixels], "input_color_format": self.color, **of_floats}


class ArrayFormat(Record, frozen=True):
    """Channel order and value range of the arrays in a call."""

    color: ColorFormat | None = None
    """Order of the channels; None: blue first for NumPy, red first for torch."""
    value_range: InputRange | None = None
    """Range of float values; uint8 needs none."""


def from_numpy(image: NumpyArray, array_format: ArrayFormat, *, label: str) -> SourceImage:
    """`image` (H, W, C) with C = 3, 1 (grey) or 4 (the last is dropped), blue first unless `array_format` says else.

    Raises:
        ModelInputError: the shape, dtype or values cannot be used; the text starts with `label`.
    """
    if image.ndim != 3 or image.shape[2] not in _CHANNELS:
        raise ModelInputError(f"{label}: shape {image.shape}; expected (H, W, 3).", fix=_numpy_shape_fix(image.shape))
    return checked_source(image, array_format.color or "bgr", array_format.value_range, label)


def from_torch(image: Array, array_format: ArrayFormat, *, label: str) -> SourceImage:
    """`image` (C, H, W), or (H, W, C) where only that makes sense; red first unless `array_format` says else.

    Raises:
        ModelInputError: the shape, dtype or values cannot be used; the text starts with `label`.
    """
    refuse_tensor_without_pixels(image, label)
    shape = tuple(image.shape)
    if len(shape) != 3 or not (shape[0] in _CHANNELS or shape[2] in _CHANNELS):
        fix = "pass a batch by itself, or as list(batch)" if len(shape) == 4 else "add the channel axis: image[None]"
        raise ModelInputError(f"{label}: shape {shape}; expected (3, H, W) or (H, W, 3).", fix=fix)
    channels_last = shape[0] != 3 and (shape[2] == 3 or shape[0] not in _CHANNELS)
    try:
        pixels = to_numpy(image)
    except (RuntimeError, TypeError, ValueError) as exc:
        found = f"{type(image).__name__} of {image.dtype} on {image.device}"
        fix = "convert it: image.to(torch.uint8)"
        raise ModelInputError(
            f"{label}: not a tensor of pixels.", needs="uint8 or floats", found=found, fix=fix
        ) from exc
    pixels = pixels if channels_last else pixels.transpose(1, 2, 0)
    return checked_source(pixels, array_format.color or "rgb", array_format.value_range, label)


def refuse_tensor_without_pixels(image: Array, label: str) -> None:
    """Raise for a tensor whose elements do not lie side by side in memory.

    Raises:
        ModelInputError: it is one; the text starts with `label`.
    """
    layout = str(image.layout).removeprefix("torch.")
    if image.is_nested:
        found, fix = "a nested tensor", "pass its parts: list(images.unbind())"
    elif image.is_meta:
        found, fix = "a meta tensor, which holds no values", "pass a tensor on a real device"
    elif layout != "strided":
        found, fix = f"a {layout} tensor", "convert it: image.to_dense()"
    elif image.is_quantized:
        found, fix = "a quantized tensor", "convert it: image.int_repr(), or image.dequantize() with input_range="
    else:
        return
    raise ModelInputError(f"{label}: not a tensor of pixels.", needs="a dense tensor", found=found, fix=fix)


def checked_source(pixels: NumpyArray, color: ColorFormat, value_range: InputRange | None, label: str) -> SourceImage:
    """`pixels` (H, W, C) as three channels of uint8, or of float32 within 0..255.

    Raises:
        ModelInputError: there are none, or their dtype or values cannot be used; the text starts with `label`.
    """
    if 0 in pixels.shape:
        raise ModelInputError(f"{label}: shape {pixels.shape} holds no pixels.", fix="leave empty images out")
    _refuse_repeated(pixels, label)
    if pixels.dtype.kind == "f":
        pixels = _as_float_pixels(pixels, value_range, label)
    elif pixels.dtype != np.uint8:
        raise ModelInputError(
            f"{label}: dtype {pixels.dtype}; expected uint8, or floats together with input_range=.",
            fix=f"convert it: {_TO_UINT8.get(pixels.dtype.kind, 'to uint8, 0 to 255')}",
        )
    elif _is_readable(pixels[..., ::-1]) and pixels.shape[2] == 3:
        # image[..., ::-1] is how people swap red and blue: undo it instead of copying.
        return SourceImage(pixels[..., ::-1], "rgb" if color == "bgr" else "bgr")
    return SourceImage(_three_channels(_readable(pixels)), color)


def _refuse_repeated(pixels: NumpyArray, label: str) -> None:
    """Raise for a view that shows the same memory again and again, as more pixels than an image file may have."""
    held = sum((side - 1) * abs(step) for side, step in zip(pixels.shape, pixels.strides, strict=True))
    if held < pixels.nbytes - pixels.itemsize and pixels.shape[0] * pixels.shape[1] > MAX_PIXELS:
        raise ModelInputError(
            f"{label}: shape {pixels.shape} is a view that repeats {held + pixels.itemsize} bytes.",
            needs=f"at most {MAX_PIXELS} pixels",
            found=str(pixels.shape[0] * pixels.shape[1]),
            fix="pass the array it was made of",
        )


def _as_float_pixels(pixels: NumpyArray, value_range: InputRange | None, label: str) -> NumpyArray:
    lowest, highest = float(pixels.min()), float(pixels.max())
    if not np.isfinite([lowest, highest]).all():
        raise ModelInputError(
            f"{label}: the pixels hold NaN or infinite values.",
            needs="finite values",
            found=f"{int(np.count_nonzero(~np.isfinite(pixels)))} of {pixels.size} values are not",
            fix="repair the image: np.nan_to_num(image)",
        )
    if value_range is None:
        raise ModelInputError(
            f"{label}: the pixels are {pixels.dtype} and their range is not stated.",
            needs="input_range='0-1' or input_range='0-255'",
            found=f"values from {lowest:g} to {highest:g}",
            fix=f"pass input_range={'0-1' if highest <= 1 else '0-255'!r}, or uint8 pixels",
        )
    top = 1.0 if value_range == "0-1" else 255.0
    if lowest < -_ROUNDING * top or highest > (1 + _ROUNDING) * top:
        raise ModelInputError(
            f"{label}: the pixels do not fit input_range={value_range!r}.",
            needs=f"values from 0 to {top:g}",
            found=f"values from {lowest:g} to {highest:g}",
            fix="undo the normalisation: images are normalised by the model",
        )
    wide = pixels.astype(np.float32, copy=False)
    return wide if top == 255 else wide * np.float32(255)


def _readable(pixels: NumpyArray) -> NumpyArray:
    """`pixels`, copied only when OpenCV could not read it in place."""
    import cv2  # noqa: PLC0415

    if _is_readable(pixels):
        return pixels
    planes = [pixels[..., channel] for channel in range(pixels.shape[2])]
    if pixels.shape[2] > 1 and all(plane.flags.c_contiguous for plane in planes):
        return np.asarray(cv2.merge(planes))  # ten times faster than the general copy, for planar pixels
    return np.ascontiguousarray(pixels)


def _is_readable(pixels: NumpyArray) -> bool:
    _, width, channels = pixels.shape
    row, column, channel = pixels.strides
    item = pixels.itemsize
    packed = channel == item and column == channels * item and row >= width * column
    return packed and pixels.dtype.isnative and pixels.flags.aligned


def _three_channels(pixels: NumpyArray) -> NumpyArray:
    import cv2  # noqa: PLC0415

    if pixels.shape[2] == 1:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR))
    if pixels.shape[2] == 4:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR))
    return pixels


def _numpy_shape_fix(shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        return "add the channel axis: image[..., None]"
    if len(shape) == 3 and shape[0] in _CHANNELS:
        return "move the channels to the end: image.transpose(1, 2, 0)"
    if len(shape) == 4:
        return "pass a batch by itself, or as list(batch)"
    return "images have 3 channels, or 1 (grey), or 4 (the last is dropped)"
