"""Masks of found objects: small maps over the network input, brought to the pixels of the image that they cover.

1. The value at a pixel is the bilinear interpolation of the four cells around its centre.
2. A value above the threshold has a cell above it among its four, so only the pixels around such cells, inside the box
   where masks end at their boxes, are computed: the result is that of the whole frame.
3. Both axes are products with sparse matrices, a band of the longer one at a time: equal to a resize of the whole map,
   which has no room for fractions of a cell.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.errors import CorruptedModelPackageError
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from inference_models.arrays import NumpyArray

_BAND = 64
"""Pixels that are interpolated together along an axis."""
_CHUNK = 32
"""Maps that exist at once."""
_FAR = 1 << 40
"""Beyond every picture."""
_LARGEST = np.float32(1e30)
"""In place of infinite values, whose product with 0 is no number."""


class MaskMaps(Record, frozen=True):
    """The maps of the objects of one image, made when they are looked at."""

    size: tuple[int, int]
    """(height, width) in cells; they cover the network input."""
    make: Callable[[slice], NumpyArray]
    """(k, h, w) float32 logits of some of the objects."""
    count: int

    def __iter__(self) -> Iterator[NumpyArray]:
        for start in range(0, self.count, _CHUNK):
            yield from self.make(slice(start, start + _CHUNK))


class Axis(Record, frozen=True):
    """Where the pixels of one axis of the image lie among the cells of a map."""

    start: int
    """First pixel that the network sees."""
    low: list[int]
    """Ascending: the cell before the centre of each of the pixels that it sees."""

    bands: tuple[NumpyArray, ...]
    """(_BAND, cells) float32 weights of the cells of every `_BAND` pixels, from the first of these cells on."""

    @classmethod
    def of(cls, start: int, positions: NumpyArray, cells: int) -> Axis:
        """For positions in 0..cells - 1; a map has at least two cells."""
        low = np.minimum(positions.astype(np.int64), max(0, cells - 2))
        part = (positions - low).astype(np.float32)
        bands = [(low[at : at + _BAND], part[at : at + _BAND]) for at in range(0, len(low), _BAND)]
        return cls(start, low.tolist(), tuple(_weights(*band) for band in bands))

    def inside(self, first: float, stop: float) -> slice:
        """The seen pixels from `first` on and before `stop`."""
        begin, end = math.ceil(first) - self.start, math.ceil(stop) - self.start
        return slice(min(max(0, begin), len(self.low)), max(0, min(end, len(self.low))))

    def near(self, pixels: slice, first: int, last: int) -> slice:
        """Those of `pixels` that the cells from `first` to `last` have a part in."""
        begin = bisect_left(self.low, first - 1, pixels.start, pixels.stop)
        return slice(begin, bisect_left(self.low, last + 1, begin, pixels.stop))

    def cells(self, pixels: slice) -> slice:
        """What `pixels`, of which there is at least one, are interpolated from."""
        return slice(self.low[pixels.start], self.low[pixels.stop - 1] + 2)

    def spread(self, values: NumpyArray, pixels: slice, first: int) -> NumpyArray:
        """(pixels, n): the interpolation along the first axis of `values` (cells from `first` on, n)."""
        made = np.empty((pixels.stop - pixels.start, values.shape[1]), np.float32)
        for number in range(pixels.start // _BAND, -(-pixels.stop // _BAND)):
            start, stop = max(pixels.start, number * _BAND), min(pixels.stop, (number + 1) * _BAND)
            low, high = self.low[start] - first, self.low[stop - 1] + 2 - first
            begin = self.low[start] - self.low[number * _BAND]
            weights = self.bands[number][start - number * _BAND : stop - number * _BAND, begin : begin + high - low]
            np.matmul(weights, values[low:high], out=made[start - pixels.start : stop - pixels.start])
        return made


def _weights(low: NumpyArray, part: NumpyArray) -> NumpyArray:
    weights = np.zeros((len(low), low[-1] + 2 - low[0]), np.float32)
    rows = np.arange(len(low))
    weights[rows, low - low[0]] = 1 - part
    weights[rows, low - low[0] + 1] += part
    return weights


class MaskPart(Record, frozen=True):
    """The part of the image outside of which a mask is empty."""

    top: int
    left: int
    pixels: NumpyArray
    """(h, w) bool; its transpose is the one without gaps in memory."""


class MaskSampler(Record, frozen=True):
    """From the maps of one image to parts of that image."""

    rows: Axis
    columns: Axis
    smooth: bool = False
    """Interpolate scores, as some projects do, and not logits."""
    threshold: float = 0.0
    """What a pixel of a mask exceeds: a score in 0..1, or a logit."""

    def part(self, logits: NumpyArray, box: Any = None) -> MaskPart:
        """The mask of `logits` (cells, cells), inside `box` x1 y1 x2 y2 in pixels of the image where there is one."""
        x1, y1, x2, y2 = (0, 0, _FAR, _FAR) if box is None else box.tolist()
        rows, columns = self.rows.inside(y1, y2), self.columns.inside(x1, x2)
        if rows.stop <= rows.start or columns.stop <= columns.start:
            return self._empty()
        above, beside = self.rows.cells(rows), self.columns.cells(columns)
        positive = self._values(logits[above, beside]) > 0
        down, across = np.flatnonzero(positive.any(axis=1)), np.flatnonzero(positive.any(axis=0))
        if not down.size:
            return self._empty()
        rows = self.rows.near(rows, above.start + int(down[0]), above.start + int(down[-1]))
        columns = self.columns.near(columns, beside.start + int(across[0]), beside.start + int(across[-1]))
        above, beside = self.rows.cells(rows), self.columns.cells(columns)
        values = self._values(logits[above, beside])
        narrow = self.rows.spread(values, rows, above.start)
        # Column by column, as run lengths go.
        made = self.columns.spread(narrow.T, columns, beside.start) > 0
        return MaskPart(self.rows.start + rows.start, self.columns.start + columns.start, made.T)

    def _values(self, logits: NumpyArray) -> NumpyArray:
        if not np.isfinite(logits).all():
            logits = np.nan_to_num(logits, nan=-_LARGEST, posinf=_LARGEST, neginf=-_LARGEST)
        # tanh(x / 2) is twice the sigmoid less one; what is compared with 0 is not rounded twice at usual thresholds.
        moved = np.float32(2 * self.threshold - 1 if self.smooth else self.threshold)
        values = np.tanh(logits / 2) if self.smooth else logits
        return values - moved if moved else values

    def _empty(self) -> MaskPart:
        return MaskPart(0, 0, np.zeros((0, 0), np.bool_))


def prototype_maps(coefficients: Any, prototypes: Any) -> MaskMaps:
    """The maps of objects with (n, M) coefficients of (M, h, w) prototypes."""
    weights, basis = (np.asarray(to_numpy(array), np.float32) for array in (coefficients, prototypes))
    size = basis.shape[1:]
    flat = basis.reshape(len(basis), -1)

    def make(rows: slice) -> NumpyArray:
        return (weights[rows] @ flat).reshape(-1, *size)

    return MaskMaps((size[0], size[1]), make, len(weights))


def check_map_size(shape: Sequence[int | None], frame: tuple[int, int] | None) -> None:
    """Refuse maps (B, M, h, w) that do not cover a network input of `frame` (height, width) evenly.

    Raises:
        CorruptedModelPackageError: with both sizes.
    """
    height, width = shape[2:]
    if frame is None or height is None or width is None:
        return
    if height * frame[1] == width * frame[0] and 1 < height <= frame[0]:
        return
    raise CorruptedModelPackageError(
        "the maps of the graph do not cover its input.",
        needs=f"maps in the shape of the input, {frame[0]}x{frame[1]} (height x width)",
        found=f"{height}x{width}",
        fix="export the model again, for one input size",
    )
