"""Lines of text on a page: their letters, their words, and the order in which a person reads them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.arrays import NumpyArray

PARALLEL = 0.7
"""Least cosine between the directions of two lines that run the same way."""


class Letters(Record, frozen=True, eq=False):
    """What one line of text says, letter by letter."""

    text: str
    scores: NumpyArray
    """(n,) float32, how sure each letter is."""
    places: NumpyArray
    """(n,) float32, where each letter is, as a part of the width of the line."""

    @property
    def score(self) -> float:
        """The mean score of the letters, 0 where there are none."""
        return float(self.scores.mean()) if len(self.scores) else 0.0

    def within(self, part: float) -> Letters:
        """The same where the line is only the left `part` of what the places refer to."""
        return Letters(self.text, self.scores, np.minimum(self.places / part, 1))


class TextLine(Record, frozen=True, eq=False):
    """One line of a page."""

    corners: NumpyArray
    """(4, 2) pixels of the image, clockwise from where the text begins."""
    letters: Letters

    def words(self) -> list[dict[str, Any]]:
        """`text`, `confidence` and `polygon` of each part between spaces.

        A word begins and ends half way between its first or last letter and the space there.
        """
        text, places = self.letters.text, self.letters.places
        gaps = [-1, *(number for number, letter in enumerate(text) if letter == " "), len(text)]
        found = []
        for before, after in pairwise(gaps):
            if before + 1 < after:
                begin = 0.0 if before < 0 else float(places[before] + places[before + 1]) / 2
                end = 1.0 if after == len(text) else float(places[after - 1] + places[after]) / 2
                sure = float(self.letters.scores[before + 1 : after].mean())
                word = text[before + 1 : after]
                found.append({"text": word, "confidence": sure, "polygon": self._part(begin, end).tolist()})
        return found

    def _part(self, begin: float, end: float) -> NumpyArray:
        """Corners of the line between two parts of its width."""
        above, right_above, right_below, below = self.corners
        top, bottom = right_above - above, right_below - below
        return np.stack([above + begin * top, above + end * top, below + end * bottom, below + begin * bottom])


def reading_order(lines: Sequence[NumpyArray]) -> list[list[int]]:
    """Rows from top to bottom, each with the numbers of its lines in the order of reading.

    1. The page is turned until its lines lie level: those that run as the longest one does.
    2. A line belongs to a row where its middle is no further below that of the line before than half the lower of
       both is high.

    Args:
        lines: (4, 2) corners of each, clockwise from where its text begins.
    """
    if not lines:
        return []
    corners = np.stack(lines)
    along = _direction(corners[:, 1] - corners[:, 0])
    down = np.array([-along[1], along[0]])
    left, depth = (corners @ along).min(axis=1), corners @ down
    middle, height = depth.mean(axis=1), depth[:, 2:].mean(axis=1) - depth[:, :2].mean(axis=1)
    rows: list[list[int]] = []
    for number in np.argsort(middle, kind="stable").tolist():
        last = rows[-1][-1] if rows else number
        if rows and middle[number] - middle[last] <= min(height[number], height[last]) / 2:
            rows[-1].append(number)
        else:
            rows.append([number])
    return [sorted(row, key=lambda number: float(left[number])) for row in rows]


def _direction(tops: NumpyArray) -> NumpyArray:
    """The unit vector along most of the lines, by length."""
    lengths = np.linalg.norm(tops, axis=1)
    longest = tops[lengths.argmax()] / max(float(lengths.max()), 1e-6)
    along = tops[tops @ longest >= PARALLEL * lengths].sum(axis=0)
    return np.asarray(along / max(float(np.linalg.norm(along)), 1e-6))
