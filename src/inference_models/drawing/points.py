"""Key points and the lines between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.drawing.style import Style, color_of, text_color_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.drawing.style import Color, Picture
    from inference_models.predictions.key_points import KeyPoints, ObjectKeyPoints


def draw(
    picture: Picture, key_points: KeyPoints, _: object, skeletons: Sequence[Sequence[tuple[int, int]]] | None
) -> None:
    """Draw the points whose confidence is above 0, joined as the skeleton of their class says."""
    style = Style.of(picture.shape[:2])
    for item in key_points.numpy():
        class_id = int(item.class_id)
        known = skeletons is not None and 0 <= class_id < len(skeletons)
        _draw_object(picture, item, skeletons[class_id] if skeletons is not None and known else (), style)


def _draw_object(picture: Picture, item: ObjectKeyPoints, skeleton: Sequence[tuple[int, int]], style: Style) -> None:
    import cv2  # noqa: PLC0415

    color = color_of(int(item.class_id))
    points = _visible(item, picture.shape[:2])
    for first, second in skeleton:
        if first in points and second in points:
            cv2.line(picture, points[first], points[second], color, style.line, cv2.LINE_AA)
    for point in points.values():
        _dot(picture, point, color, style)


def _visible(item: ObjectKeyPoints, size: tuple[int, ...]) -> dict[int, tuple[int, int]]:
    """Slot to whole pixel, for points that were found; far outside ones are held at a distance OpenCV can draw."""
    limit = 4 * max(size)
    places = np.clip(np.nan_to_num(np.asarray(item.xy, dtype=np.float64)), -limit, limit)
    return {
        slot: (round(float(x)), round(float(y)))
        for slot, ((x, y), sure) in enumerate(zip(places, item.confidence, strict=True))
        if sure > 0
    }


def _dot(picture: Picture, point: tuple[int, int], color: Color, style: Style) -> None:
    """A disc with a rim that stands out from it, so that it is seen on any ground."""
    import cv2  # noqa: PLC0415

    radius = 1 + round(1.6 * style.line)
    cv2.circle(picture, point, radius + max(1, style.line // 2), text_color_on(color), cv2.FILLED, cv2.LINE_AA)
    cv2.circle(picture, point, radius, color, cv2.FILLED, cv2.LINE_AA)
