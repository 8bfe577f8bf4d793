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
        whole = all(
            edge * cells.shape[axis] % self.frame[axis] == 0
            for axis, part in enumerate((self.rows, self.columns))
            for edge in (part.start, part.stop)
        )
        if not whole:
            cells = resize(cells, self.frame, how)
        top, bottom, left, right = (
            edge * cells.shape[axis] // self.frame[axis]
            for axis, part in enumerate((self.rows, self.columns))
            for edge in (part.start, part.stop)
        )
        return resize(cells[top:bottom, left:right], self.size, how)


def resize(cells: NumpyArray, size: tuple[int, int], how: MapResize) -> NumpyArray:
    """`cells` (h, w) as (height, width) of `size`, as `torch.nn.functional.interpolate` does it."""
    import cv2  # noqa: PLC0415

    if how == "corners":
        return _between_corners(cells, size)
    filters = {"nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}
    return np.asarray(cv2.resize(np.ascontiguousarray(cells), size[::-1], interpolation=filters[how]))


def _between_corners(cells: NumpyArray, size: tuple[int, int]) -> NumpyArray:
    for length in size:
        if len(cells) == 1 or len(cells) == length:
            cells = np.repeat(cells, length, axis=0) if len(cells) == 1 else cells
        else:
            axis = Axis.of(0, np.linspace(0, len(cells) - 1, length) if length > 1 else np.zeros(1), len(cells))
            cells = axis.spread(cells, slice(0, length), 0)
        cells = cells.T
    return np.ascontiguousarray(cells)


def best_classes(logits: NumpyArray, window: Window, *, scores: bool) -> tuple[NumpyArray, NumpyArray]:
    """The best of (C, h, w) for every pixel of a window: its (height, width) int64 number, and float32 score.

    The logits are resized, or scores where the graph gives these, one class at a time, so that memory does not grow
    with the number of classes.
    """
    import cv2  # noqa: PLC0415

    best = window.resized(logits[0], "linear")
    number = np.zeros(best.shape, np.min_scalar_type(len(logits)))
    for channel, cells in enumerate(logits[1:], 1):
        values = window.resized(cells, "linear")
        np.putmask(number, values > best, channel)
        cv2.max(best, values, best)
    if scores:
        return number.astype(np.int64), best
    total = np.zeros_like(best)
    for cells in logits:
        values = window.resized(cells, "linear")
        cv2.subtract(values, best, values)
        cv2.exp(values, values)
        cv2.add(total, values, total)
    return number.astype(np.int64), 1 / total


def foreground_score(logits: NumpyArray, window: Window, *, scores: bool) -> NumpyArray:
    """(height, width) float32: how sure every pixel of a window is to be foreground, of one map."""
    values = window.resized(logits, "linear")
    return values if scores else 1 / (1 + np.exp(-values))


def as_float32(array: Array) -> NumpyArray:
    """`array` on the host, as float32 without gaps."""
    return np.ascontiguousarray(to_numpy(array), np.float32)
