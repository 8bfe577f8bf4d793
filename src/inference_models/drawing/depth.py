"""Depth: a colour for every distance, and what the darkest and the brightest stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.drawing.panel import Line, draw_panel
from inference_models.errors import InvalidParameterError

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.drawing.style import Color, Picture

_ENDS = (1, 99)
"""Per cent of the pixels between which colours are spread, so that single ones far off do not take them all."""


def draw(picture: Picture, depth: Array, *_: object) -> None:
    """Colour each pixel by its number in (H, W) `depth`: larger ones are brighter; those of 0 stay as they are.

    The colours are those of the map inferno, in which equal steps look equal, for people of every colour vision too.

    Raises:
        InvalidParameterError: the map has another size than the picture.
    """
    import cv2  # noqa: PLC0415

    numbers = to_numpy(depth)
    if numbers.shape != picture.shape[:2]:
        raise InvalidParameterError(
            "the depth cannot be drawn on this image.",
            needs=f"a map of {picture.shape[0]} x {picture.shape[1]}, the size of the image",
            found=f"a map of {numbers.shape[0]} x {numbers.shape[1]}",
            fix="pass the image that the model was given",
        )
    known = np.isfinite(numbers) & (numbers != 0)
    if not known.any():
        return
    low, high = np.percentile(numbers[known].astype(np.float64), _ENDS)
    steps = np.clip((np.where(known, numbers, low) - low) / (high - low or 1), 0, 1) * 255
    colors = cv2.applyColorMap(np.rint(steps).astype(np.uint8), cv2.COLORMAP_INFERNO)
    np.copyto(picture, colors, where=known[..., None])
    draw_panel(picture, [Line(f"{high:.3g}", _color(255)), Line(f"{low:.3g}", _color(0))])


def _color(step: int) -> Color:
    import cv2  # noqa: PLC0415

    blue, green, red = cv2.applyColorMap(np.full((1, 1), step, np.uint8), cv2.COLORMAP_INFERNO)[0, 0].tolist()
    return blue, green, red
