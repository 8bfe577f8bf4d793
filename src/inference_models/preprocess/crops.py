"""Windows around boxes, cut out as the heads are trained that look at one object at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from inference_models.record import Record

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray
    from inference_models.package.inference_config import TopDown
    from inference_models.package.preprocess_spec import Size

Box = tuple[float, float, float, float]
"""x1 y1 x2 y2 in pixels of the image."""
_LEAST_SIDE = 1.0
"""Pixels of a window: a box without an area still has a place."""
_ROOM = 2
"""Pixels around a window that a resize may look at."""
LONGEST_SIDE = 16_000
"""Pixels; OpenCV cannot warp what is twice as long."""


class Window(Record, frozen=True):
    """The part of an image that becomes one crop."""

    left: float
    top: float
    width: float
    height: float
    """In pixels of the image; the corners may lie outside it."""

    def share(self, box: Box) -> float:
        """The root of the part of the window that a box is."""
        area = max((box[2] - box[0]) * (box[3] - box[1]), 0.0)
        return math.sqrt(area / max(self.width * self.height, 1.0))


def window_of(box: Box, stated: TopDown, size: Size, image: Size) -> Window:
    """The window around a box.

    Args:
        box: What it is about.
        stated: How the crops of the model are cut.
        size: (height, width) of a crop.
        image: (height, width) of the image.
    """
    x1, y1, x2, y2 = box
    if not stated.preserve_aspect:
        left, top = max(0, math.floor(x1)), max(0, math.floor(y1))
        right, bottom = min(image[1], math.ceil(x2)), min(image[0], math.ceil(y2))
        empty = right <= left or bottom <= top
        return Window(left, top, *((1, 1) if empty else (right - left, bottom - top)))
    width, height = (max(side * stated.context_padding, _LEAST_SIDE) for side in (x2 - x1, y2 - y1))
    aspect = size[1] / size[0]
    width, height = max(width, aspect * height), max(height, width / aspect)
    return Window((x1 + x2 - width) / 2, (y1 + y2 - height) / 2, width, height)


def cut(pixels: NumpyArray, window: Window, stated: TopDown, size: Size) -> NumpyArray:
    """(h, w, 3) of `size`, of the type of `pixels` (H, W, 3), which are black outside the image.

    Args:
        pixels: The image.
        window: What to cut out.
        stated: How the crops of the model are cut.
        size: (height, width) of the crop.
    """
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    if stated.exact:
        return _sampled(pixels, window, size)
    spare = _ROOM if stated.preserve_aspect else 0
    left, right = _inside(window.left, window.width, pixels.shape[1], spare)
    top, bottom = _inside(window.top, window.height, pixels.shape[0], spare)
    part = pixels[top:bottom, left:right]
    if part.size == 0:
        return np.zeros((*size, 3), pixels.dtype)
    if not stated.preserve_aspect:
        return np.asarray(cv2.resize(part, size[::-1], interpolation=cv2.INTER_LINEAR))
    across, down = (
        (side - stated.udp) / length for side, length in zip(size[::-1], (window.width, window.height), strict=True)
    )
    way = np.array([[across, 0, (left - window.left) * across], [0, down, (top - window.top) * down]])
    return np.asarray(cv2.warpAffine(part, way, size[::-1], flags=cv2.INTER_LINEAR))


def _sampled(pixels: NumpyArray, window: Window, size: Size) -> NumpyArray:
    """As `scipy.ndimage.affine_transform` of order 1 makes it, whose outer pixels lie on the edges of the window."""
    import numpy as np  # noqa: PLC0415

    made = pixels.astype(np.float64)
    for axis, (start, length) in enumerate(((window.top, window.height), (window.left, window.width))):
        places = start + np.arange(size[axis]) * (length / max(size[axis] - 1, 1))
        last = made.shape[axis] - 1
        low = np.clip(np.floor(places), 0, max(last - 1, 0)).astype(np.int64)
        weights = np.stack([1 - (places - low), places - low]) * ((places >= 0) & (places <= last))
        shape = [-1 if number == axis else 1 for number in range(3)]
        below, above = made.take(low, axis), made.take(np.minimum(low + 1, last), axis)
        made = below * weights[0].reshape(shape) + above * weights[1].reshape(shape)
    return made.astype(pixels.dtype) if pixels.dtype.kind == "f" else np.floor(made + 0.5).astype(pixels.dtype)


def _inside(start: float, length: float, side: int, spare: int) -> tuple[int, int]:
    first, last = math.floor(start) - spare, math.ceil(start + length) + spare
    return min(max(first, 0), side), min(max(last, 0), side)


def straighten(pixels: NumpyArray, corners: NumpyArray) -> NumpyArray:
    """(h, w, 3) the part of `pixels` (H, W, 3) between four corners, as it looks from straight ahead.

    Args:
        pixels: The image.
        corners: (4, 2) x y, clockwise from what becomes the upper left one; what lies outside repeats the edge.
    """
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    limit = np.array(pixels.shape[1::-1])
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int) - _ROOM, 0, limit - 1).tolist()
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int) + _ROOM, 1, limit).tolist()
    part, corners = pixels[top:bottom, left:right], corners - [left, top]
    if max(part.shape) > LONGEST_SIDE:
        less = LONGEST_SIDE / max(part.shape)
        part = cv2.resize(part, None, fx=less, fy=less, interpolation=cv2.INTER_AREA)
        corners = corners * less
    width, height = (max(1, round(side)) for side in sides_of(corners))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    way = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    return np.asarray(
        cv2.warpPerspective(part, way, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    )


def sides_of(corners: NumpyArray) -> tuple[float, float]:
    """The width and the height of a region with four corners, of opposite sides the longer one."""
    import numpy as np  # noqa: PLC0415

    top, right, bottom, left = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1).tolist()
    return max(top, bottom), max(left, right)
