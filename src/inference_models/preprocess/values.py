"""From the pixels of the frame to the numbers of the network: scaling, normalisation, channel order, layout."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from inference_models.fork import Lock, renewed_in_children

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray
    from inference_models.entities import ColorFormat
    from inference_models.package.preprocess_spec import PreprocessSpec

UINT8, FLOAT16 = np.dtype(np.uint8), np.dtype(np.float16)

MAX_IDLE_BYTES = 64 << 20
"""Idle arrays of one pool at most; the longest unused go first."""


class BufferPool:
    """Arrays that are used again: a fresh one of 5 MB costs about a millisecond of page faults.

    An array belongs to whoever took it until it is given back.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._idle: deque[NumpyArray] = deque()
        self.idle_bytes = 0
        """Bytes in arrays that are not in use."""
        renewed_in_children.add(self)

    def renew(self) -> None:
        """Start empty in a forked child: another thread may have been half through a change."""
        self._idle, self.idle_bytes = deque(), 0

    def take(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> NumpyArray:
        """A contiguous array with any content."""
        with self._lock:
            for position in range(len(self._idle) - 1, -1, -1):
                found = self._idle[position]
                if found.shape == shape and found.dtype == dtype:
                    del self._idle[position]
                    self.idle_bytes -= found.nbytes
                    return found
        return np.empty(shape, dtype)

    def give(self, array: NumpyArray) -> None:
        """Back into the pool; the caller must not touch `array` afterwards."""
        with self._lock:
            self._idle.append(array)
            self.idle_bytes += array.nbytes
            while self.idle_bytes > MAX_IDLE_BYTES:
                self.idle_bytes -= self._idle.popleft().nbytes


class PixelWriter:
    """Writes frames of pixels (h, w, 3) as network values: 256 possible pixels make a table per channel."""

    def __init__(self, spec: PreprocessSpec, dtype: np.dtype[np.generic], pool: BufferPool) -> None:
        self._color = spec.color
        self._planar = spec.layout == "nchw"
        self._dtype = dtype
        self._pool = pool
        factor = 1.0 if spec.scaling_factor is None else float(spec.scaling_factor)
        self._mean = np.asarray(spec.mean or (0.0, 0.0, 0.0), np.float64) * factor
        self._unit = np.asarray(spec.std or (1.0, 1.0, 1.0), np.float64) * factor
        exact = (np.arange(256) - self._mean[:, None]) / self._unit[:, None]
        # OpenCV looks up 16-bit patterns, and does not care that they are halves.
        self._pattern = np.dtype(np.uint16) if dtype == FLOAT16 else dtype
        self._tables = np.ascontiguousarray(exact.astype(dtype)).view(self._pattern)

    def write(self, frame: NumpyArray, color: ColorFormat, out: NumpyArray) -> None:
        """`frame` (h, w, 3) uint8 or float32 in order `color`, into `out` (3 or 1, h, w) or (h, w, 3 or 1)."""
        if self._dtype == UINT8:
            frame = to_uint8(frame)
        order = (0, 1, 2) if color == self._color else (2, 1, 0)
        target = out.view(self._pattern)
        if out.shape[0 if self._planar else 2] == 1:
            self._write_grey(frame[..., 0], out[0] if self._planar else out[..., 0])
        elif frame.dtype != np.uint8:
            self._compute(frame, order, out)
        elif self._planar:
            self._look_up_planes(frame, order, target)
        else:
            self._look_up_pixels(frame, order, target)

    def _write_grey(self, grey: NumpyArray, out: NumpyArray) -> None:
        if self._dtype == UINT8:
            out[:] = grey
        elif grey.dtype == np.uint8:
            out[:] = self._tables[0].view(self._dtype)[grey]
        else:
            out[:] = (grey - np.float32(self._mean[0])) / np.float32(self._unit[0])

    def _look_up_planes(self, frame: NumpyArray, order: tuple[int, ...], target: NumpyArray) -> None:
        import cv2  # noqa: PLC0415

        if self._dtype == UINT8:
            cv2.split(frame, [target[channel] for channel in order])
            return
        planes = self._pool.take((3, *frame.shape[:2]), UINT8)
        cv2.split(frame, list(planes))
        for channel, source in enumerate(order):
            cv2.LUT(planes[source], self._tables[channel], target[channel])
        self._pool.give(planes)

    def _look_up_pixels(self, frame: NumpyArray, order: tuple[int, ...], target: NumpyArray) -> None:
        import cv2  # noqa: PLC0415

        if order != (0, 1, 2):
            frame = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        if self._dtype == UINT8:
            target[:] = frame
        else:
            cv2.LUT(frame, np.ascontiguousarray(self._tables.T)[None], target)

    def _compute(self, frame: NumpyArray, order: tuple[int, ...], out: NumpyArray) -> None:
        channels = out if self._planar else out.transpose(2, 0, 1)
        for channel, source in enumerate(order):
            shifted = frame[..., source] - np.float32(self._mean[channel])
            np.divide(shifted, np.float32(self._unit[channel]), out=channels[channel], casting="same_kind")


def to_uint8(pixels: NumpyArray) -> NumpyArray:
    """`pixels`, or float pixels within 0..255 rounded to uint8."""
    if pixels.dtype == np.uint8:
        return pixels
    rounded: NumpyArray = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    return rounded
