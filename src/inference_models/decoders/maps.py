"""Maps: numbers, or scores of classes, for every cell of a grid over the network input; brought to the picture.

Of a map that is brought to a picture only the part counts that shows it. Padding is cut off in whole cells; where it
ends inside a cell, the map is first brought to the pixels of the network input, in which padding is always whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.decoders.layout import known, unexpected_outputs
from inference_models.decoders.masks import Axis, check_map_size
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.arrays import Array, NumpyArray
    from inference_models.decoders.types import Frame, Outputs, Shapes

MapResize = Literal["nearest", "linear", "cubic", "corners"]
"""As PyTorch resizes without smoothing; `corners` is linear with the centres of the corner cells on each other."""


class MapLayout(Record, frozen=True):
    """The first output of a graph: one map per image, (B, h, w), or several, (B, C, h, w)."""

    needs: str
    """The output in words, for the error."""
    channels: int | None = None
    """Of (B, C, h, w); None: any number."""
    channels_last: bool = False
    """Whether the output is (B, h, w, C)."""

    def check(self, shapes: Shapes, frame: Frame | None) -> int | None:
        """C of a graph with outputs of these shapes, over an input of `frame`; None where they do not say.

        Raises:
            CorruptedModelPackageError: the outputs are others, or do not cover the input.
        """
        if not known(shapes):
            return None
        shape = self._planar(shapes[0])
        channels = shape[1] if len(shape) == 4 else None
        fits = None in {channels, self.channels} or channels == self.channels
        if len(shape) not in {3, 4} or 0 in shape or not fits:
            raise unexpected_outputs(self.needs, shapes)
        check_map_size((None, None, *shape[-2:]), frame)
        return channels

    def select(self, outputs: Outputs, frame: Frame) -> NumpyArray:
        """The maps of the one image in `outputs`: (h, w) or (C, h, w).

        Raises:
            CorruptedModelPackageError: the outputs are others, or do not cover the input.
        """
        self.check([tuple(output.shape) for output in outputs], frame)
        (image,) = to_numpy(outputs[0])
        return np.moveaxis(image, -1, 0) if self.channels_last and image.ndim == 3 else image

    def _planar(self, shape: Sequence[int | None]) -> Sequence[int | None]:
        return (shape[0], shape[3], shape[1], shape[2]) if self.channels_last and len(shape) == 4 else shape


class Window(Record, frozen=True):
    """The part of the network input that shows a picture, and the size of the part of the picture it shows."""

    rows: slice
    columns: slice
    frame: Frame
    size: tuple[int, int]
    """(height, width) in pixels of the picture."""

    def resized(self, cells: NumpyArray, how: MapResize) -> NumpyArray:
        """(height, width) of the type of (h, w) `cells` over the network input."""
        return resize(self.part(cells, how), self.size, how)

    def part(self, cells: NumpyArray, how: MapResize) -> NumpyArray:
        """Those of (h, w) or (C, h, w) `cells` over the network input that show the picture."""
        height, width = cells.shape[-2:]
        whole = all(
            edge * (height, width)[axis] % self.frame[axis] == 0
            for axis, part in enumerate((self.rows, self.columns))
            for edge in (part.start, part.stop)
        )
        if not whole:
            planes = [resize(plane, self.frame, how) for plane in cells.reshape(-1, height, width)]
            cells = np.reshape(planes, (*cells.shape[:-2], *self.frame))
        top, bottom, left, right = (
            edge * cells.shape[axis - 2] // self.frame[axis]
            for axis, part in enumerate((self.rows, self.columns))
            for edge in (part.start, part.stop)
        )
        return cells[..., top:bottom, left:right]


def resize(cells: NumpyArray, size: tuple[int, int], how: MapResize) -> NumpyArray:
    """`cells` (h, w) as (height, width) of `size`, as `torch.nn.functional.interpolate` does it."""
    import cv2  # noqa: PLC0415

    if how == "corners":
        return _between_corners(cells, size)
    if how == "nearest":
        return nearest(cells, size)
    filters = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}
    return np.asarray(cv2.resize(np.ascontiguousarray(cells), size[::-1], interpolation=filters[how]))


def nearest(cells: NumpyArray, size: tuple[int, int]) -> NumpyArray:
    """`cells` (h, w) of any type as (height, width) of `size`, each the cell that its corner lies in."""
    rows, columns = (np.arange(length) * count // length for count, length in zip(cells.shape, size, strict=True))
    return np.asarray(cells[:, columns][rows])


def _between_corners(cells: NumpyArray, size: tuple[int, int]) -> NumpyArray:
    """Across first, so that the longer work goes along rows, as they lie in memory."""
    return _stretched(_stretched(cells.T, size[1]).T, size[0])


def _stretched(cells: NumpyArray, length: int) -> NumpyArray:
    """`length` rows of (h, n) `cells`, whose first and last are those of `cells`."""
    if len(cells) in {1, length}:
        return np.repeat(cells, length // len(cells), axis=0)
    axis = Axis.of(0, np.linspace(0, len(cells) - 1, length), len(cells))
    return axis.spread(np.ascontiguousarray(cells), slice(0, length), 0)


def foreground_score(logits: NumpyArray, window: Window, *, scores: bool) -> NumpyArray:
    """(height, width) float32: how sure every pixel of a window is to be foreground, of one map."""
    values = window.resized(logits, "linear")
    return values if scores else 1 / (1 + np.exp(-values))


def as_float32(array: Array) -> NumpyArray:
    """`array` on the host, as float32 without gaps."""
    return np.ascontiguousarray(to_numpy(array), np.float32)
