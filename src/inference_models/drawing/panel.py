"""A list of coloured lines in the top left corner of the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.drawing.style import Style
from inference_models.drawing.text import Label, measure, write_text
from inference_models.record import Record, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.drawing.style import Color, Picture

_GROUND = 24
_GROUND_OPACITY = 0.72
_WHITE = (255, 255, 255)
_SMALLEST_TEXT = 0.3


class Line(Record, frozen=True):
    """One line of the panel."""

    text: str
    color: Color
    """Of the square before the text, and of the bar."""
    score: float | None = None
    """0..1, drawn as a bar under the text; None: no bar."""


def draw_panel(picture: Picture, lines: Sequence[Line]) -> None:
    """Draw the lines on a dark ground that lets the picture through; those that do not fit are left out."""
    if not lines:
        return
    style = _fitting(Style.of(picture.shape[:2]), picture, len(lines))
    square = measure("", style, room=0).height
    labels = [measure(line.text, style, room=picture.shape[1] - square - 3 * style.padding) for line in lines]
    step = labels[0].height + style.padding // 2
    fitting = max(1, (picture.shape[0] - style.padding) // step)
    width = square + max(label.width for label in labels) + style.padding
    _darken(picture, min(len(lines), fitting) * step + style.padding, width)
    for row, (line, label) in enumerate(zip(lines[:fitting], labels, strict=False)):
        _draw_line(picture, line, label, top=style.padding + row * step, style=style, square=square, width=width)


def _fitting(style: Style, picture: Picture, count: int) -> Style:
    """Smaller letters where a long list would not fit otherwise, down to what can still be read."""
    needed = count * (measure("", style, room=0).height + style.padding // 2) + style.padding
    shrunk = max(_SMALLEST_TEXT, style.text_scale * min(1.0, picture.shape[0] / needed))
    return replace(style, text_scale=shrunk, text_line=max(1, round(shrunk * 1.7)))


def _darken(picture: Picture, height: int, width: int) -> None:
    part = picture[:height, :width]
    part[:] = (part * (1 - _GROUND_OPACITY) + _GROUND * _GROUND_OPACITY).astype(part.dtype)


def _draw_line(picture: Picture, line: Line, label: Label, *, top: int, style: Style, square: int, width: int) -> None:
    import cv2  # noqa: PLC0415

    bottom = top + label.height
    base = bottom - label.below
    side = round(22 * style.text_scale)
    cv2.rectangle(picture, (style.padding, base - side), (style.padding + side, base), line.color, cv2.FILLED)
    write_text(picture, label.text, (square + style.padding, base), _WHITE, style)
    if line.score is not None:
        room = width - square - 2 * style.padding
        end = square + style.padding + round(room * min(1.0, max(0.0, float(line.score))))
        thickness = max(1, style.line // 2)
        cv2.line(picture, (square + style.padding, bottom - 1), (end, bottom - 1), line.color, thickness)
