"""YOLOX: boxes relative to the cells of three grids.

Layout of the ONNX export of YOLOX 0.3 without `--decode_in_inference`: one output (B, N, 5 + C), objectness and classes
after their sigmoid, rows in the order of strides 8, 16, 32, each grid row by row.

1. Candidates by objectness x class, as for other layouts with objectness.
2. centre = (x, y + cell) * stride; size = exp(w, h) * stride.
3. Thresholds of classes and non-maximum suppression.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from inference_models.arrays import namespace
from inference_models.decoders.boxes import with_objectness
from inference_models.decoders.candidates import LARGEST_EXPONENT, as_float32, corners, suppress
from inference_models.decoders.layout import Layout, known, refuse_row_count
from inference_models.decoders.types import BoxDecoder

if TYPE_CHECKING:
    from inference_models.arrays import Array, NumpyArray
    from inference_models.decoders.types import Boxes, BoxLimits, Frame, Outputs, Shapes

STRIDES = (8, 16, 32)
_LAYOUT = Layout("one output (B, N, 5 + C)", ((None, None, None),), class_axis=(0, 2), before_classes=5)


@lru_cache(maxsize=32)
def grid_cells(frame: Frame, strides: tuple[int, ...]) -> NumpyArray:
    """(N, 3) float32, read-only: column, row and stride of every cell, strides in turn, each grid row by row."""
    height, width = frame
    levels = []
    for stride in strides:
        row, column = np.mgrid[: -(-height // stride), : -(-width // stride)].reshape(2, -1)
        levels.append(np.stack([column, row, np.full_like(row, stride)], axis=1))
    cells = np.concatenate(levels).astype(np.float32)
    cells.flags.writeable = False
    return cells


def _decode(outputs: Outputs, frame: Frame, limits: BoxLimits) -> list[Boxes]:
    (output,) = _LAYOUT.select(outputs)
    grid = grid_cells(frame, STRIDES)
    _check([output.shape], frame)

    def to_corners(box: Array, anchor: Array) -> Array:
        return _from_cells(box, as_float32(grid, like=box)[anchor, :])

    return [suppress(with_objectness(image, limits, to_corners), limits) for image in output]


def _from_cells(box: Array, cell: Array) -> Array:
    xp = namespace(box)
    stride = cell[:, 2]
    centre_x, centre_y = (box[:, 0] + cell[:, 0]) * stride, (box[:, 1] + cell[:, 1]) * stride
    size = xp.exp(xp.clip(box[:, 2:], max=LARGEST_EXPONENT))
    return corners(centre_x, centre_y, size[:, 0] * stride, size[:, 1] * stride)


def _check(shapes: Shapes, frame: Frame | None) -> None:
    _LAYOUT.check(shapes)
    if known(shapes) and frame is not None:
        refuse_row_count(shapes[0][1], needs=len(grid_cells(frame, STRIDES)), frame=frame, strides=STRIDES)


YOLOX = BoxDecoder(decode=_decode, count_classes=_LAYOUT.count_classes, check=_check)
