"""Where every pixel of the network input came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from inference_models.arrays import Array, NumpyArray
    from inference_models.package.preprocess_spec import Size


@dataclass(frozen=True)
class ImageTransform:
    """How one image became a network input: crop, then scale, then shift. Undoes itself.

    Coordinates are continuous: (0, 0) is the top left corner of the top left pixel.
    """

    image_size: Size
    """(height, width) of the image the caller gave, after EXIF orientation."""
    network_size: Size
    """(height, width) of the network input."""
    scale: tuple[float, float]
    """(x, y) network pixels per image pixel."""
    shift: tuple[float, float]
    """(x, y) network pixels added after scaling: padding when positive, cropping when negative."""
    crop_offset: tuple[int, int] = (0, 0)
    """(x, y) image pixels that the static crop cut off at the left and top."""
    crop_size: Size | None = None
    """(height, width) after the static crop; None when there was none."""

    def points_to_network(self, xy: NumpyArray) -> NumpyArray:
        """`xy` (..., 2) in image pixels, as (..., 2) float64 in network pixels."""
        moved: NumpyArray = (np.asarray(xy, np.float64) - self.crop_offset) * self.scale + self.shift
        return moved

    def points_to_image(self, xy: Array, *, clamp: bool = False) -> Array:
        """`xy` (..., 2) in network pixels, in image pixels: same kind of array, same float dtype."""
        return self._to_image(xy, axes=1, clamp=clamp)

    def boxes_to_image(self, xyxy: Array, *, clamp: bool = True) -> Array:
        """`xyxy` (n, 4) in network pixels, in image pixels, clamped to the image."""
        return self._to_image(xyxy, axes=2, clamp=clamp)

    def _to_image(self, values: Array, *, axes: int, clamp: bool) -> Array:
        from inference_models.arrays import device_of, namespace  # noqa: PLC0415 - array-api-compat is imported when used

        xp = namespace(values)
        device = device_of(values)
        height, width = self.image_size

        def row(pair: tuple[float, float]) -> Array:
            return xp.asarray(list(pair) * axes, dtype=xp.float64, device=device)

        moved = (xp.astype(values, xp.float64) - row(self.shift)) / row(self.scale) + row(self.crop_offset)
        if clamp:
            moved = xp.maximum(xp.minimum(moved, row((width, height))), row((0.0, 0.0)))
        return xp.astype(moved, values.dtype)
