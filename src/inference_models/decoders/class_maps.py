"""The best class of every pixel from small maps of logits, computed where neighbouring cells disagree.

A pixel is the bilinear interpolation of the four cells around its centre, which are the corners of a patch.

1. A class that is the best at all four corners is the best of every pixel of the patch. Its score follows from the
   odds against it, whose logarithm is interpolated: exact for two classes, and nearly so where one stands out.
2. In the other patches, and where the score at the centre shows that odds do not do, each pixel is computed from the
   classes that can be the best of one. The others count together: the logarithm of the sum of their exponentials is
   that of the parabolas through nine places of the patch.
3. Where most of the picture is such patches, every pixel is computed from every class.

Classes are those of the whole picture; scores are within 2e-3, and 1e-3 but for a thousandth of the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from inference_models.decoders.maps import every_class, resize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.arrays import NumpyArray

_INEXACT = 1e-4
"""A patch whose score at the centre is further than this from that of its odds is computed pixel by pixel."""
_NEAR = 4
"""A class within this of the best at a corner counts alone, even if it is nowhere the best."""
_WORTH = 4
"""Computing patches alone has to save this factor of the values."""
_VALUES = 1 << 20
"""Values that exist at once."""
_LEAST = np.float32(1e-12)
_MOST = np.float32(80)
"""Its exponential is still a number."""
_FAR = np.float32(1e30)
"""In place of what is infinite, or no class."""
_HALVES = np.array([[1, 0], [0.5, 0.5], [0, 1]], np.float32)
_NINE = np.kron(_HALVES, _HALVES)
"""(9, 4) weights of the corners of a patch at the corners and halfway between, row by row."""


@dataclass(frozen=True)
class _Places:
    """The pixels of an axis in runs that lie in one patch; those outside of the outer centres are runs of their own."""

    patch: NumpyArray
    """(runs,) number of the patch."""
    run: NumpyArray
    """(pixels,) number of the run."""
    pixels: NumpyArray
    """(runs, n) the pixels of each run; the last one again where there are fewer."""
    part: NumpyArray
    """(runs, n) float32 place of their centres in the patch, 0..1."""

    @classmethod
    def of(cls, cells: int, length: int) -> _Places:
        """Of `length` pixels over `cells`, of which there are at least two."""
        centre = (np.arange(length) + 0.5) * cells / length - 0.5
        start = np.flatnonzero(np.diff(np.floor(centre), prepend=-2))
        stop = np.append(start[1:], length)
        run = np.repeat(np.arange(len(start)), stop - start)
        patch = np.clip(np.floor(centre[start]), 0, cells - 2).astype(np.int64)
        pixels = np.minimum(start[:, None] + np.arange((stop - start).max()), stop[:, None] - 1)
        part = np.clip(centre, 0, cells - 1) - patch[run]
        return cls(patch, run, pixels, part.astype(np.float32)[pixels])


def class_map(logits: NumpyArray, size: tuple[int, int]) -> tuple[NumpyArray, NumpyArray]:
    """The best class of each pixel of logits (C, h, w): (height, width) int64 numbers, and float32 softmax scores."""
    if not np.isfinite(logits).all():
        logits = np.nan_to_num(logits, nan=-_FAR, posinf=_FAR, neginf=-_FAR)
    if len(logits) < 2 or min(logits.shape[1:]) < 2:
        return every_class(logits, size, scores=False)
    rows, columns = (_Places.of(cells, length) for cells, length in zip(logits.shape[1:], size, strict=True))
    top = logits.argmax(0)
    hard, odds = _hard_patches(logits, top)
    found = _Rectangles.of(logits, top, (rows, columns), hard)
    if int(found.alone.sum()) * found.most_pixels * _WORTH > len(logits) * size[0] * size[1]:
        return every_class(logits, size, scores=False)
    numbers = top[rows.patch[:, None], columns.patch[columns.run]][rows.run]
    scores = resize(odds, size, "linear")
    _to_scores(scores)
    for where, number, score in found.solved(size[1]):
        numbers.reshape(-1)[where], scores.reshape(-1)[where] = number, score
    return numbers, scores


def _to_scores(odds: NumpyArray) -> None:
    """Logarithms of the odds against the best class become its scores, in place."""
    import cv2  # noqa: PLC0415

    cv2.exp(odds, odds)
    odds += 1
    np.reciprocal(odds, out=odds)


def _hard_patches(logits: NumpyArray, top: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    """(h - 1, w - 1) bool: patches to compute pixel by pixel; and (h, w) logarithms of the odds against the best."""
    odds = _log_odds(logits, np.take_along_axis(logits, top[None], 0)[0])
    first, *others = _corners(top)
    hard = np.logical_or.reduce([corner != first for corner in others])
    centre = np.add.reduce(_corners(logits)) / np.float32(4)
    exact = _log_odds(centre, np.take_along_axis(centre, first[None], 0)[0])
    shown = np.add.reduce(_corners(odds)) / np.float32(4)
    _to_scores(exact)
    _to_scores(shown)
    return hard | (np.abs(exact - shown) > _INEXACT), odds


def _log_odds(logits: NumpyArray, best: NumpyArray) -> NumpyArray:
    """Logarithm of the odds against one class, of which `best` are the logits; (C, h, w) and (h, w)."""
    return np.asarray(np.log(np.maximum(np.exp(np.minimum(logits - best, _MOST)).sum(0) - 1, _LEAST)))


def _corners(cells: NumpyArray) -> list[NumpyArray]:
    """The cells (..., h, w) at the four corners of every patch, row by row."""
    return [cells[..., :-1, :-1], cells[..., :-1, 1:], cells[..., 1:, :-1], cells[..., 1:, 1:]]


@dataclass(frozen=True)
class _Rectangles:
    """Rectangles of pixels, each in one patch, those with the most classes that count alone first."""

    places: tuple[_Places, _Places]
    at: tuple[NumpyArray, NumpyArray]
    """(k,) rows and columns of the rectangles, as numbers of runs."""
    corners: NumpyArray
    """(4, C, k) logits at the corners of the patch."""
    alone: NumpyArray
    """(C, k) bool: what counts alone."""

    @classmethod
    def of(cls, logits: NumpyArray, top: NumpyArray, places: tuple[_Places, _Places], hard: NumpyArray) -> _Rectangles:
        """All of the patches `hard`."""
        rows, columns = places
        at = np.nonzero(hard[rows.patch[:, None], columns.patch])
        y, x = rows.patch[at[0]], columns.patch[at[1]]
        values = np.stack([corner[:, y, x] for corner in _corners(logits)])
        rivals = [values[:, corner[y, x], np.arange(len(y))][:, None] for corner in _corners(top)]
        alone = np.logical_and.reduce([(values > rival).any(0) | (values == rival).all(0) for rival in rivals])
        alone |= (values - values.max(1, keepdims=True)).max(0) > -_NEAR
        order = np.argsort(-alone.sum(0), kind="stable")
        return cls(places, (at[0][order], at[1][order]), values[..., order], alone[:, order])

    @property
    def most_pixels(self) -> int:
        """Pixels of the largest."""
        return int(self.places[0].pixels.shape[1] * self.places[1].pixels.shape[1])

    def solved(self, width: int) -> Iterator[tuple[NumpyArray, NumpyArray, NumpyArray]]:
        """Numbers (k, m, n) of pixels in a picture of `width`, their classes and scores, for some of them at a time."""
        rows, columns = self.places
        pairs = np.cumsum(self.alone.sum(0)) * self.most_pixels // _VALUES
        for start, stop in pairwise([*np.flatnonzero(np.diff(pairs, prepend=-1)), len(pairs)]):
            y, x = (runs[start:stop] for runs in self.at)
            found, scores = self._best(slice(start, stop), rows.part[y], columns.part[x])
            yield (rows.pixels[y] * width)[:, :, None] + columns.pixels[x][:, None], found, scores

    def _best(self, some: slice, down: NumpyArray, across: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        """Class and score (k, m, n) of every pixel, at places (k, m) and (k, n) of `some` rectangles."""
        corners, alone = self.corners[..., some], self.alone[:, some]
        turns = []
        place = alone.cumsum(0)
        for turn in range(1, int(place[-1, 0]) + 1):
            number, owner = np.nonzero((place == turn) & alone)
            number = number[np.argsort(owner)].astype(np.int16)
            count = len(number)
            values = _interpolated(corners[:, number, np.arange(count)], down[:count], across[:count])
            turns.append(values)
            if turn == 1:
                best, found = values.copy(), np.broadcast_to(number[:, None, None], values.shape).copy()
            else:
                np.copyto(found[:count], number[:, None, None], where=values > best[:count])
                np.maximum(best[:count], values, out=best[:count])
        total = _parabolas(down) @ _together(corners, alone) @ _parabolas(across).swapaxes(1, 2) - best
        np.exp(total, out=total)
        for values in turns:
            count = len(values)
            total[:count] += np.exp(values - best[:count])
        return found, np.reciprocal(total, out=total)


def _together(corners: NumpyArray, alone: NumpyArray) -> NumpyArray:
    """(k, 3, 3) logit of all classes that do not count alone, at the corners of the patch and halfway between."""
    values = np.tensordot(_NINE, np.where(alone, -_FAR, corners), 1)
    most = values.max(1)
    values -= most[:, None]
    return np.asarray((np.log(np.exp(values, out=values).sum(1)) + most).T.reshape(-1, 3, 3))


def _interpolated(corners: NumpyArray, down: NumpyArray, across: NumpyArray) -> NumpyArray:
    """(n, rows, columns) of (4, n) corners at the places (n, rows) and (n, columns)."""
    left, right = (corners[side, :, None] + (corners[side + 2] - corners[side])[:, None] * down for side in (0, 1))
    values: NumpyArray = (right - left)[:, :, None] * across[:, None]
    values += left[:, :, None]
    return values


def _parabolas(place: NumpyArray) -> NumpyArray:
    """(n, pixels, 3) weights of values at 0, 1/2 and 1 in the parabola through them, at places (n, pixels)."""
    far = 1 - place
    return np.stack([far * (1 - 2 * place), 4 * place * far, place * (2 * place - 1)], axis=-1)
