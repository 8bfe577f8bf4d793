"""Matches of two pictures: each point, and the way to where the other picture shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.drawing.style import Style, color_of, text_color_on

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray
    from inference_models.drawing.style import Picture
    from inference_models.predictions.feature_matches import FeatureMatches


def draw(picture: Picture, matches: FeatureMatches, *_: object) -> None:
    """Draw on the first picture how its points have moved in the second one."""
    found = matches.numpy()
    _join(picture, found.points, found.other_points)


def side_by_side(first: Picture, second: Picture, matches: FeatureMatches) -> Picture:
    """(max H, sum of W, 3): both pictures, the matches joined by lines."""
    height, width = max(len(first), len(second)), first.shape[1]
    picture = np.zeros((height, width + second.shape[1], 3), np.uint8)
    picture[: len(first), :width], picture[: len(second), width:] = first, second
    found = matches.numpy()
    _join(picture, found.points, found.other_points + np.array([width, 0], np.float32))
    return picture


def _join(picture: Picture, starts: NumpyArray, ends: NumpyArray) -> None:
    import cv2  # noqa: PLC0415

    style = Style.of(picture.shape[:2])
    for number, pair in enumerate(zip(starts, ends, strict=True)):
        start, end = ((round(float(x)), round(float(y))) for x, y in pair)
        color = color_of(number)
        cv2.line(picture, start, end, color, max(1, style.line // 2), cv2.LINE_AA)
        for point in (start, end):
            cv2.circle(picture, point, style.line + 1, text_color_on(color), cv2.FILLED, cv2.LINE_AA)
            cv2.circle(picture, point, style.line, color, cv2.FILLED, cv2.LINE_AA)
