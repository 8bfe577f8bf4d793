"""Colours and sizes of what is drawn."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from inference_models.record import Record

Picture: TypeAlias = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, blue first."""
Color: TypeAlias = tuple[int, int, int]
"""Blue, green, red in 0..255."""

_BASE_RGB = ((213, 94, 0), (86, 180, 233), (0, 158, 115), (230, 159, 0), (204, 121, 167), (0, 114, 178), (240, 228, 66))
"""The colours of Okabe and Ito, which people of every colour vision can tell apart; black is left out."""
MASK_OPACITY = 0.45
_TONES = (0.0, -0.35, 0.45)
"""Part of the way to black (negative) or to white, so that further classes get further colours."""


def _toned(rgb: tuple[int, int, int], tone: float) -> Color:
    goal = 255 if tone > 0 else 0
    red, green, blue = (round(part + (goal - part) * abs(tone)) for part in rgb)
    return blue, green, red


PALETTE: tuple[Color, ...] = tuple(_toned(rgb, tone) for tone in _TONES for rgb in _BASE_RGB)


def color_of(class_id: int) -> Color:
    """The colour of a class: always the same one for the same number."""
    return PALETTE[class_id % len(PALETTE)]


def text_color_on(background: Color) -> Color:
    """Black or white, whichever is read more easily on `background` (contrast as in WCAG 2)."""
    blue, green, red = (_linear(part / 255) for part in background)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    # Equal contrast with black (L + 0.05) / 0.05 and with white 1.05 / (L + 0.05).
    return (0, 0, 0) if luminance > math.sqrt(1.05 * 0.05) - 0.05 else (255, 255, 255)


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


class Style(Record, frozen=True):
    """Sizes in pixels, in proportion to the picture."""

    line: int
    """Width of the lines of boxes and skeletons."""
    text_scale: float
    """Of OpenCV's simple Hershey font, whose capitals are 21 pixels high at 1."""
    text_line: int
    """Width of the lines of letters."""
    padding: int
    """Between the text and the edge of its background."""

    @classmethod
    def of(cls, size: tuple[int, int]) -> Style:
        """For a picture of (height, width)."""
        side = math.sqrt(size[0] * size[1])
        text_scale = max(0.35, side / 1100)
        return cls(
            line=max(1, round(side / 200)),
            text_scale=text_scale,
            text_line=max(1, round(text_scale * 1.7)),
            padding=max(2, round(text_scale * 8)),
        )
