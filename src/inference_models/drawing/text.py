"""Labels: one line of text on a filled background, inside the picture and off each other where there is room."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, TypeAlias

from inference_models.drawing.style import text_color_on
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from inference_models.drawing.style import Color, Picture, Style

Rectangle: TypeAlias = tuple[int, int, int, int]
"""x1 y1 x2 y2, the second corner exclusive."""

_SHORTEST = 4


class Label(Record, frozen=True):
    """A text that was measured."""

    text: str
    width: int
    """Of the background."""
    height: int
    """Of the background."""
    below: int
    """From the base line of the text to the lower edge of the background."""


def measure(text: str, style: Style, *, room: int) -> Label:
    """The label of `text`, cut so that it is at most `room` pixels wide."""
    text = _drawable(text)
    label = _measured(text, style)
    while label.width > room and len(text) > _SHORTEST:
        text = text[:-1]
        label = _measured(text + "..", style)
    return label


def place(label: Label, box: Rectangle, taken: Iterable[Rectangle], size: tuple[int, int]) -> Rectangle:
    """Where the label of `box` goes in a picture of (height, width): the first place that is free, else the first."""
    taken = list(taken)
    places = [_inside(place, size) for place in _places(label, box, size[0])]
    return next((place for place in places if not any(_overlap(place, other) for other in taken)), places[0])


def write(picture: Picture, label: Label, place: Rectangle, background: Color, style: Style) -> None:
    """Draw one label."""
    import cv2  # noqa: PLC0415

    x1, y1, x2, y2 = place
    cv2.rectangle(picture, (x1, y1), (x2 - 1, y2 - 1), background, cv2.FILLED)
    write_text(picture, label.text, (x1 + style.padding, y2 - label.below), text_color_on(background), style)


def write_text(picture: Picture, text: str, start: tuple[int, int], color: Color, style: Style) -> None:
    """Draw a text without background; `start` is the left end of its base line."""
    import cv2  # noqa: PLC0415

    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(picture, text, start, font, style.text_scale, color, style.text_line, cv2.LINE_AA)


def _measured(text: str, style: Style) -> Label:
    import cv2  # noqa: PLC0415

    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, style.text_scale, style.text_line)
    # Room for accents and tails: one height for all texts, so that the labels of a picture look alike.
    capital, tail = round(24 * style.text_scale), round((10 if _before_opencv_5() else 7) * style.text_scale)
    below = tail + style.padding // 2 + 1
    return Label(text, width + 2 * style.padding, capital + below + style.padding // 2 + 1, below)


def _drawable(text: str) -> str:
    """OpenCV before 5 knows ASCII only: accents are dropped there, and other letters become question marks."""
    line = " ".join(text.split())
    if line.isascii() or not _before_opencv_5():
        return line
    decomposed = unicodedata.normalize("NFKD", line)
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return plain.encode("ascii", "replace").decode("ascii")


def _before_opencv_5() -> bool:
    """Whether its own strokes are drawn instead of a font: fewer letters, with longer tails."""
    import cv2  # noqa: PLC0415

    return int(cv2.__version__.split(".")[0]) < 5


def _places(label: Label, box: Rectangle, picture_height: int) -> Sequence[Rectangle]:
    """Above the box, else inside if it would not cover the box, else below; then the corners on the right."""
    x1, y1, x2, y2 = box
    width, height = label.width, label.height
    above, below = (x1, y1 - height, x1 + width, y1), (x1, y2, x1 + width, y2 + height)
    inside = (x1, y1, x1 + width, y1 + height)
    covers = width >= x2 - x1 or 2 * height >= y2 - y1
    corners = [
        above,
        *((below, inside) if covers else (inside, below)),
        (x2 - width, y1 - height, x2, y1),
        (x2 - width, y2, x2, y2 + height),
        (x2 - width, y1, x2, y1 + height),
        (x1, y2 - height, x1 + width, y2),
        (x2 - width, y2 - height, x2, y2),
    ]
    return [place for place in corners if place[1] >= 0 and place[3] <= picture_height] or [inside]


def _inside(place: Rectangle, size: tuple[int, int]) -> Rectangle:
    x1, y1, x2, y2 = place
    left = max(0, min(x1, size[1] - (x2 - x1)))
    top = max(0, min(y1, size[0] - (y2 - y1)))
    return left, top, left + x2 - x1, top + y2 - y1


def _overlap(first: Rectangle, second: Rectangle) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
