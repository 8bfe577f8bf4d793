"""CenterFace: one heat map of centres, and the size and offset of the box at each of its cells.

Layout of the published ONNX file, stride 4, (B, channels, h, w): heat map after the sigmoid (1), log size (2: height,
width), offset (2: y, x), landmarks (10, not read here).

1. Cells above the threshold.
2. centre = (cell + offset + 0.5) * 4; size = exp(log size) * 4.
3. Box = centre minus and plus half the size.
4. Non-maximum suppression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.arrays import namespace
from inference_models.decoders.candidates import LARGEST_EXPONENT, Candidates, corners, passing, suppress
from inference_models.decoders.layout import Layout
from inference_models.decoders.types import BoxDecoder

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.decoders.types import Boxes, BoxLimits, Frame, Outputs, Shapes

_STRIDE = 4
_LAYOUT = Layout(
    "three outputs (B, 1, h, w), (B, 2, h, w), (B, 2, h, w)",
    ((None, 1, None, None), (None, 2, None, None), (None, 2, None, None)),
)


def _decode(outputs: Outputs, _frame: Frame, limits: BoxLimits) -> list[Boxes]:
    images = zip(*_LAYOUT.select(outputs), strict=True)
    return [suppress(_candidates(*image, limits=limits), limits) for image in images]


def _candidates(heat: Array, log_size: Array, offset: Array, *, limits: BoxLimits) -> Candidates:
    xp = namespace(heat)
    width = heat.shape[-1]
    score = xp.astype(xp.reshape(heat, (-1,)), xp.float32)
    anchor = passing(score, limits)

    def at_cells(maps: Array) -> Array:
        return xp.astype(xp.take(xp.reshape(maps, (2, -1)), anchor, axis=1), xp.float32)

    size = xp.exp(xp.clip(at_cells(log_size), max=LARGEST_EXPONENT)) * _STRIDE
    row, column = xp.astype(anchor // width, xp.float32), xp.astype(anchor % width, xp.float32)
    shift = at_cells(offset) + 0.5
    centre_y, centre_x = (row + shift[0, :]) * _STRIDE, (column + shift[1, :]) * _STRIDE
    box = corners(centre_x, centre_y, size[1, :], size[0, :])
    return Candidates(anchor, score[anchor], xp.zeros_like(anchor), box)


def _count_classes(_shapes: Shapes) -> int:
    return 1


HEATMAP = BoxDecoder(decode=_decode, count_classes=_count_classes)
"""Faces, and any other single class."""
