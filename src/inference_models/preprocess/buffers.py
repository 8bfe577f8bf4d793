"""Arrays that are used again: a fresh one of 5 MB costs about a millisecond of page faults."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray

MAX_IDLE_BYTES = 64 << 20
"""Idle arrays of one pool at most; the longest unused go first."""


class BufferPool:
    """Idle arrays by shape and dtype. An array belongs to whoever took it until it is given back."""

    def __init__(self, max_idle_bytes: int = MAX_IDLE_BYTES) -> None:
        self._max_idle_bytes = max_idle_bytes
        self._idle: deque[NumpyArray] = deque()
        self._idle_bytes = 0
        self._lock = threading.Lock()

    @property
    def idle_bytes(self) -> int:
        """Bytes in arrays that nobody holds."""
        return self._idle_bytes

    def take(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> NumpyArray:
        """A contiguous array with any content."""
        with self._lock:
            for position in range(len(self._idle) - 1, -1, -1):
                found = self._idle[position]
                if found.shape == shape and found.dtype == dtype:
                    del self._idle[position]
                    self._idle_bytes -= found.nbytes
                    return found
        return np.empty(shape, dtype)

    def give(self, array: NumpyArray) -> None:
        """Back into the pool; the caller must not touch `array` afterwards."""
        with self._lock:
            self._idle.append(array)
            self._idle_bytes += array.nbytes
            while self._idle_bytes > self._max_idle_bytes:
                self._idle_bytes -= self._idle.popleft().nbytes
