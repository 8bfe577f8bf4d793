"""Gaze: an arrow from the middle of a face to where it looks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from inference_models.drawing.style import Style, color_of, text_color_on
from inference_models.errors import InvalidParameterError

if TYPE_CHECKING:
    from inference_models.drawing.style import Picture
    from inference_models.predictions.gaze import GazeDetection

_LENGTH = 0.45
"""Of an arrow in the plane of the picture, in parts of its shorter side."""


def draw(picture: Picture, gaze: GazeDetection, *_: object) -> None:
    """Draw the gaze of the one face that `picture` shows, as `pipeline.render` of L2CS-Net projects it.

    Raises:
        InvalidParameterError: there is more than one face.
    """
    import cv2  # noqa: PLC0415

    if len(gaze) != 1:
        raise InvalidParameterError(
            "the gaze of several faces cannot be drawn on one image.",
            needs="the gaze of one face",
            found=f"those of {len(gaze)}",
            fix="call the model on one crop at a time, and draw on that",
        )
    yaw, pitch = (float(angles[0]) for angles in (gaze.numpy().yaw, gaze.numpy().pitch))
    if not (math.isfinite(yaw) and math.isfinite(pitch)):
        return
    height, width = picture.shape[:2]
    length = _LENGTH * min(height, width)
    start = (width // 2, height // 2)
    end = (
        round(start[0] - length * math.sin(yaw) * math.cos(pitch)),
        round(start[1] - length * math.sin(pitch)),
    )
    style, color = Style.of((height, width)), color_of(0)
    for ink, thickness in ((text_color_on(color), style.line + 2), (color, style.line)):
        cv2.arrowedLine(picture, start, end, ink, thickness, cv2.LINE_AA, tipLength=0.25)
        cv2.circle(picture, start, thickness + style.line, ink, cv2.FILLED, cv2.LINE_AA)
