"""Boxes, masks and labels with OpenCV alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from inference_models.drawing.style import Style, color_of
from inference_models.drawing.text import measure, place, write

if TYPE_CHECKING:
    from inference_models.drawing.objects import DrawnObjects
    from inference_models.drawing.style import Color, Picture
    from inference_models.drawing.text import Label, Rectangle

MASK_OPACITY = 0.45


def draw_objects(picture: Picture, objects: DrawnObjects) -> None:
    """Draw masks, then boxes, then labels."""
    style = Style.of(picture.shape[:2])
    colors = [color_of(int(class_id)) for class_id in objects.class_ids]
    for mask, color in zip(objects.masks(), colors, strict=False):
        blend(picture, mask, color, style)
    for box, color in zip(objects.xyxy, colors, strict=True):
        draw_box(picture, box, color, style)
    labels = [measure(text, style, room=picture.shape[1]) for text in objects.labels]
    places = _places(picture, objects, labels)
    for label, where, color in zip(labels, places, colors, strict=True):
        if label.text:
            write(picture, label, where, color, style)


def draw_box(picture: Picture, box: npt.NDArray[np.int64], color: Color, style: Style) -> None:
    """Draw the outline of a box; the line lies inside the box and thus inside the picture, with square corners."""
    x1, y1, x2, y2 = (int(side) for side in box)
    for near in range(style.line):
        picture[[min(y1 + near, y2), max(y2 - near, y1)], x1 : x2 + 1] = color
        picture[y1 : y2 + 1, [min(x1 + near, x2), max(x2 - near, x1)]] = color


def blend(picture: Picture, mask: npt.NDArray[np.bool_], color: Color, style: Style) -> None:
    """Tint the pixels of a mask and outline it."""
    import cv2  # noqa: PLC0415

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return
    area = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    part, inside = picture[area], np.ascontiguousarray(mask[area]).view(np.uint8)
    tint = cv2.addWeighted(part, 1 - MASK_OPACITY, np.full_like(part, color), MASK_OPACITY, 0)
    np.copyto(part, tint, where=inside[..., None] > 0)
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    offset = (int(columns[0]), int(rows[0]))
    cv2.drawContours(picture, outlines, -1, color, max(1, style.line // 2), cv2.LINE_AA, offset=offset)


def _places(picture: Picture, objects: DrawnObjects, labels: list[Label]) -> list[Rectangle]:
    """The best object, which is last, chooses first."""
    size = (picture.shape[0], picture.shape[1])
    places: list[Rectangle] = []
    for label, box in zip(reversed(labels), objects.xyxy[::-1], strict=True):
        x1, y1, x2, y2 = (int(side) for side in box)
        places.append(place(label, (x1, y1, x2 + 1, y2 + 1), places, size))
    return places[::-1]
