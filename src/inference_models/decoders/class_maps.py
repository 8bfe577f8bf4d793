"""The best class of every pixel from small maps of every class, computed where neighbouring cells disagree.

A pixel is the bilinear interpolation of the four cells around its centre, which are the corners of a patch: a convex
combination of them.

1. A class that is the best at all four corners is the best of every pixel of the patch, and nowhere less sure than at
   the least sure of them: the odds against it are a sum of exponentials of what is linear along each axis, so that
   they are the greatest at a corner.
2. In the other patches each pixel is computed from the classes that can be the best of one. All others together are
   at most the interpolation of their sum at the corners; where that leaves open whether a pixel is sure enough, its
   score is computed from every class.
3. Where most of the picture is such patches, every pixel is computed from every class.

The arithmetic of a pixel is the same everywhere, so that the classes are exactly those of `every_pixel`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from inference_models.arrays import NumpyArray

_ROUNDING = np.float32(4e-6)
"""What is further apart than this part of the largest best value stays so when it is interpolated."""
_SURER = np.float32(1e-5)
"""What is this much surer than it has to be is so whatever the rounding."""
_WORTH = 4
"""Computing patches alone has to save this factor of the values."""
_VALUES = 1 << 18
"""Values of rectangles that exist at once."""
_PLANE = 1 << 15
"""Values of a class that exist at once: they stay in the cache of a core."""
_FAR = np.float32(1e30)
"""In place of what is infinite."""


Activation = Literal["softmax", "sigmoid"]


class Classes(Record, frozen=True):
    """What the maps stand for, and when a pixel counts as one of their classes."""

    ids: NumpyArray
    """(C,) int64 class of each map."""
    least: NumpyArray
    """(C,) float32 score that a pixel of the class has to reach; more than 1: it never does."""
    unsure: int
    """Class of the pixels that do not reach it."""
    activation: Activation | None
    """What makes scores of the values; None: they are scores."""

    def score(self, best: NumpyArray, odds: NumpyArray) -> NumpyArray:
        """Of the best values, in the sum of exponentials of all classes over that of the best."""
        if self.activation is None:
            return best
        with np.errstate(over="ignore"):
            return np.reciprocal(odds if self.activation == "softmax" else 1 + np.exp(-best))

    def settled(self, number: NumpyArray, score: NumpyArray | np.float32) -> NumpyArray:
        """Their ids, of the smallest type, where the numbers of maps are sure enough, else `unsure`."""
        kind = np.result_type(*(np.min_scalar_type(end) for end in (-1, self.unsure, int(self.ids.max()))))
        found = self.ids.astype(kind)[number]
        if self.doubtful:
            found[score < self.least[number]] = self.unsure
        return found

    @property
    def doubtful(self) -> bool:
        """Whether a pixel may not be sure enough."""
        return bool((self.least > 0).any())


class _Axis:
    """The pixels of an axis in runs that lie in one patch; those outside of the outer centres are runs of their own."""

    def __init__(self, cells: int, length: int) -> None:
        centre = (np.arange(length) + 0.5) * cells / length - 0.5
        start = np.flatnonzero(np.diff(np.floor(centre), prepend=-2))
        self.edges = np.append(start, length)
        """(runs + 1,) first pixel of each run, and the end."""
        run = np.repeat(np.arange(len(start)), np.diff(self.edges))
        self.patch = np.clip(np.floor(centre[start]), 0, max(cells - 2, 0)).astype(np.int64)
        """(runs,) number of the patch."""
        self.cell = self.patch[run]
        """(pixels,) number of the patch."""
        self.part = (np.clip(centre, 0, cells - 1) - self.cell).astype(np.float32)
        """(pixels,) float32 place of their centres in the patch, 0..1."""
        self.pixels = np.minimum(start[:, None] + np.arange(np.diff(self.edges).max()), self.edges[1:, None] - 1)
        """(runs, n) the pixels of each run; the last one again where there are fewer."""


def class_map(logits: NumpyArray, size: tuple[int, int], classes: Classes) -> tuple[NumpyArray, NumpyArray | None]:
    """Class and score of each pixel of maps (C, h, w): (height, width) int64 and float32, as `every_pixel` has them.

    The scores are None where the classes were found without those of every pixel.
    """
    cells = _usable(logits)
    rows, columns = (_Axis(*pair) for pair in zip(logits.shape[1:], size, strict=True))
    number, best = _greatest(cells)
    apart = _ROUNDING * np.abs(best).max()
    plain = best - _second(cells, number) > apart
    if classes.doubtful:
        least = classes.least[number]
        plain &= (classes.score(best, _odds(cells, best)) > least + _SURER) | (least <= 0) | (least > 1)
    first, *others = _corners(number)
    hard = ~np.logical_and.reduce([corner == first for corner in others] + _corners(plain))
    found = _Rectangles.of(cells, (rows, columns), hard, (number, apart))
    if int(found.alone.sum()) * found.most_pixels * _WORTH > len(cells) * size[0] * size[1]:
        return every_pixel(logits, size, classes) if classes.doubtful else (_computed(logits, size, classes), None)
    small = classes.settled(first, np.float32(1))
    ids = small[rows.patch[:, None], columns.cell].repeat(np.diff(rows.edges), axis=0)
    for where, settled in found.solved(size[1], classes):
        ids.reshape(-1)[where] = settled
    return ids.astype(np.int64), None


def every_pixel(logits: NumpyArray, size: tuple[int, int], classes: Classes) -> tuple[NumpyArray, NumpyArray]:
    """Class and score of each pixel of maps (C, h, w): (height, width) int64 and float32; unsure ones have score 0."""
    scores = np.empty(size, np.float32)
    return _computed(logits, size, classes, scores), scores


def _computed(
    logits: NumpyArray, size: tuple[int, int], classes: Classes, scores: NumpyArray | None = None
) -> NumpyArray:
    """The classes of `every_pixel`, whose scores go to `scores`; they may be None if no class is `doubtful`."""
    cells = _usable(logits)
    rows, columns = (_Axis(*pair) for pair in zip(logits.shape[1:], size, strict=True))
    ids = np.empty(size, np.int64)
    most = max(_PLANE // size[1], 1)
    for run, patch in enumerate(rows.patch):
        top, bottom = (
            _between(line[:, columns.cell], line[:, columns.cell + 1], columns.part)
            for line in (cells[:, patch], cells[:, patch + 1])
        )
        for start in range(rows.edges[run], rows.edges[run + 1], most):
            some = slice(start, min(start + most, rows.edges[run + 1]))
            part = rows.part[some, None]
            values = [_between(one[None], other[None], part) for one, other in zip(top, bottom, strict=True)]
            number, best = _greatest(values)
            score = best if scores is None else classes.score(best, _odds(values, best))
            ids[some] = classes.settled(number, score)
            if scores is not None:
                scores[some] = np.where(score < classes.least[number], 0, score)
    return ids


def _usable(logits: NumpyArray) -> NumpyArray:
    """Finite values, of at least two cells along both axes."""
    if not np.isfinite(logits).all():
        logits = np.nan_to_num(logits, nan=-_FAR, posinf=_FAR, neginf=-_FAR)
    missing = [(0, int(cells == 1)) for cells in logits.shape[1:]]
    return np.pad(logits, [(0, 0), *missing], mode="edge") if logits.size and any(map(sum, missing)) else logits


def _between(one: NumpyArray, other: NumpyArray, part: NumpyArray) -> NumpyArray:
    """The values at `part` of the way from one to the other."""
    values: NumpyArray = (other - one) * part
    values += one
    return values


def _odds(planes: Iterable[NumpyArray], best: NumpyArray) -> NumpyArray:
    """Those of `Classes.score`, of (C, ...) values and the best of them."""
    odds = np.zeros_like(best)
    for values in planes:
        odds += np.exp(values - best)
    return odds


def _greatest(planes: Sequence[NumpyArray] | NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    """Number of the first of (C, ...) values that is the greatest, and the value."""
    best = planes[0].copy()
    number = np.zeros(best.shape, np.min_scalar_type(len(planes)))
    for turn, values in enumerate(planes[1:], 1):
        # Faster by far than to write where a mask is set; numbers grow.
        np.maximum(number, (values > best) * number.dtype.type(turn), out=number)
        np.maximum(best, values, out=best)
    return number, best


def _second(cells: NumpyArray, number: NumpyArray) -> NumpyArray:
    """The greatest of (C, h, w) but those of `number`."""
    others = cells.copy()
    np.put_along_axis(others, number[None].astype(np.int64), -np.inf, 0)
    return np.asarray(others.max(0))


def _corners(cells: NumpyArray) -> list[NumpyArray]:
    """The cells (..., h, w) at the four corners of every patch, row by row."""
    return [cells[..., :-1, :-1], cells[..., :-1, 1:], cells[..., 1:, :-1], cells[..., 1:, 1:]]


@dataclass(frozen=True)
class _Rectangles:
    """Rectangles of pixels, each in one patch, those with the most classes that count alone first."""

    axes: tuple[_Axis, _Axis]
    at: tuple[NumpyArray, NumpyArray]
    """(k,) rows and columns of the rectangles, as numbers of runs."""
    corners: NumpyArray
    """(4, C, k) values at the corners of the patch."""
    alone: NumpyArray
    """(C, k) bool: what can be the best of a pixel."""

    @classmethod
    def of(
        cls,
        cells: NumpyArray,
        axes: tuple[_Axis, _Axis],
        hard: NumpyArray,
        top: tuple[NumpyArray, NumpyArray],
    ) -> _Rectangles:
        """All of the patches `hard`; `top` is the best class of each cell, and what is as good as equal."""
        rows, columns = axes
        at = np.nonzero(hard[rows.patch[:, None], columns.patch])
        y, x = rows.patch[at[0]], columns.patch[at[1]]
        values = np.stack([corner[:, y, x] for corner in _corners(cells)])
        alone = np.ones(values.shape[1:], np.bool_)
        for corner in _corners(top[0]):
            rival = values[:, corner[y, x], np.arange(len(y))] - top[1]
            alone &= (values >= rival[:, None]).any(0)
        order = np.argsort(-alone.sum(0), kind="stable")
        return cls(axes, (at[0][order], at[1][order]), values[..., order], alone[:, order])

    @property
    def most_pixels(self) -> int:
        """Pixels of the largest."""
        return int(self.axes[0].pixels.shape[1] * self.axes[1].pixels.shape[1])

    def solved(self, width: int, classes: Classes) -> Iterator[tuple[NumpyArray, NumpyArray]]:
        """Numbers (k, m, n) of pixels in a picture of `width`, and their ids, for some rectangles at a time."""
        rows, columns = self.axes
        pairs = np.cumsum(self.alone.sum(0)) * self.most_pixels // _VALUES
        for start, stop in pairwise([*np.flatnonzero(np.diff(pairs, prepend=-1)), len(pairs)]):
            y, x = (runs[start:stop] for runs in self.at)
            pixels = rows.pixels[y], columns.pixels[x]
            part = rows.part[pixels[0]], columns.part[pixels[1]]
            yield (pixels[0] * width)[:, :, None] + pixels[1][:, None], self._ids(slice(start, stop), part, classes)

    def _ids(self, some: slice, part: tuple[NumpyArray, NumpyArray], classes: Classes) -> NumpyArray:
        """Id (k, m, n) of every pixel, at places (k, m) and (k, n) of `some` rectangles."""
        corners, alone = self.corners[..., some], self.alone[:, some]
        turns = []
        place = alone.cumsum(0)
        for turn in range(1, int(place[-1, 0]) + 1):
            number, owner = np.nonzero((place == turn) & alone)
            number = number[np.argsort(owner)].astype(np.int16)
            turns.append((number[:, None, None], _interpolated(corners[:, number, np.arange(len(number))], part)))
        number, best = _greatest_in_turns(turns)
        score = np.ones_like(best)
        if classes.doubtful:
            odds = np.zeros_like(best)
            for _, values in turns:
                odds[: len(values)] += np.exp(values - best[: len(values)])
            score = classes.score(best, odds)
            if classes.activation == "softmax":
                _mend(score, classes.least[number], (corners, alone, best, part))
        return classes.settled(number, score)


def _greatest_in_turns(turns: list[tuple[NumpyArray, NumpyArray]]) -> tuple[NumpyArray, NumpyArray]:
    """As `_greatest` has it; every turn has numbers and values for as many or fewer rectangles as the last one."""
    first, values = turns[0]
    number, best = np.broadcast_to(first, values.shape).copy(), values.copy()
    for other, values in turns[1:]:
        count = len(values)
        np.maximum(number[:count], (values > best[:count]) * other, out=number[:count])
        np.maximum(best[:count], values, out=best[:count])
    return number, best


def _mend(
    score: NumpyArray,
    least: NumpyArray,
    rectangles: tuple[NumpyArray, NumpyArray, NumpyArray, tuple[NumpyArray, NumpyArray]],
) -> None:
    """Lower the scores (k, m, n) of some classes alone, of which others take a part, where it shows whether they do.

    `rectangles` are the corners, the classes that counted, the best values and the places.
    """
    corners, alone, best, part = rectangles
    peak = corners.max((0, 1))
    others = _interpolated(np.where(alone, 0, np.exp(corners - peak)).sum(1), part)
    with np.errstate(over="ignore", invalid="ignore"):
        lowest = 1 / (1 / score + others * np.exp(peak[:, None, None] - best))
    unclear = (score >= least - _SURER) & ~(lowest >= least + _SURER)
    score[unclear] = _exact(corners, part, unclear)


def _exact(corners: NumpyArray, part: tuple[NumpyArray, NumpyArray], pixels: NumpyArray) -> NumpyArray:
    """(p,) softmax score of the best of all classes (4, C, k), of those pixels (k, m, n)."""
    owner, row, column = np.nonzero(pixels)
    scores = np.empty(len(owner), np.float32)
    for start in range(0, len(owner), max(_VALUES // corners.shape[1], 1)):
        some = slice(start, start + max(_VALUES // corners.shape[1], 1))
        top_left, top_right, low_left, low_right = corners[..., owner[some]]
        across = part[1][owner[some], column[some]]
        top, bottom = _between(top_left, top_right, across), _between(low_left, low_right, across)
        values = _between(top, bottom, part[0][owner[some], row[some]])
        scores[some] = 1 / _odds(values, values.max(0))
    return scores


def _interpolated(corners: NumpyArray, part: tuple[NumpyArray, NumpyArray]) -> NumpyArray:
    """(n, rows, columns) of (4, n) corners at the places (n, rows) and (n, columns) of the first n rectangles."""
    top_left, top_right, low_left, low_right = corners[..., None]
    down, across = (places[: corners.shape[1]] for places in part)
    top, bottom = _between(top_left, top_right, across), _between(low_left, low_right, across)
    return _between(top[:, None], bottom[:, None], down[:, :, None])
