"""PicoDet and other heads of Generalized Focal Loss: every side of a box is a distribution over distances.

Layout of PaddleDetection 2.x ONNX exports without post-processing, strides 8, 16, 32, 64: first one score output
(B, n, C) per stride, after the sigmoid, then one distance output (B, n, 4 * bins) per stride; rows are the cells of
ceil(height / stride) x ceil(width / stride), row by row.

1. Best class of every cell; cells above the lowest threshold.
2. distance of a side = expectation of softmax over its bins * stride: left, top, right, bottom.
3. Box = cell centre (index + 0.5) * stride, minus and plus the distances.
4. Thresholds of classes, and non-maximum suppression over all strides together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.arrays import namespace
from inference_models.decoders.candidates import Candidates, as_float32, passing, suppress
from inference_models.decoders.classes import softmax
from inference_models.decoders.grid import grid_cells
from inference_models.decoders.layout import known, refuse_row_count, unexpected_outputs
from inference_models.decoders.types import BoxDecoder

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.decoders.types import Boxes, BoxLimits, Frame, Outputs, Shapes

STRIDES = (8, 16, 32, 64)
_LEVELS = len(STRIDES)


def _decode(outputs: Outputs, frame: Frame, limits: BoxLimits) -> list[Boxes]:
    _check([tuple(output.shape) for output in outputs], frame)
    xp = namespace(outputs[0])
    scores = xp.concat(list(outputs[:_LEVELS]), axis=1)
    distances = xp.concat(list(outputs[_LEVELS : 2 * _LEVELS]), axis=1)
    grid = grid_cells(frame, STRIDES)
    cells = as_float32(grid, like=scores)
    images = zip(scores, distances, strict=True)
    return [suppress(_candidates(score, distance, cells, limits), limits) for score, distance in images]


def _candidates(scores: Array, distances: Array, cells: Array, limits: BoxLimits) -> Candidates:
    xp = namespace(scores)
    score = xp.astype(xp.max(scores, axis=1), xp.float32)
    anchor = passing(score, limits)
    return Candidates(
        anchor=anchor,
        score=score[anchor],
        class_id=xp.argmax(scores[anchor, :], axis=1),
        xyxy=_corners(distances[anchor, :], cells[anchor, :]),
    )


def _corners(distances: Array, cells: Array) -> Array:
    xp = namespace(distances)
    bins = distances.shape[1] // 4
    probability = softmax(xp.reshape(distances, (-1, 4, bins)))
    reach = xp.sum(probability * as_float32(list(range(bins)), like=probability), axis=2) * cells[:, 2:]
    centre = (cells[:, :2] + 0.5) * cells[:, 2:]
    return xp.concat([centre - reach[:, :2], centre + reach[:, 2:]], axis=1)


def _fits(shapes: Shapes) -> bool:
    if len(shapes) != 2 * _LEVELS or any(len(shape) != 3 for shape in shapes):
        return False
    for score, distance in zip(shapes[:_LEVELS], shapes[_LEVELS:], strict=True):
        if score[1] != distance[1] or score[2] != shapes[0][2] or distance[2] != shapes[_LEVELS][2]:
            return False
    sides = shapes[_LEVELS][2]
    return sides is None or (sides > 4 and sides % 4 == 0)


def _check(shapes: Shapes, frame: Frame | None) -> None:
    if not known(shapes):
        return
    if not _fits(shapes):
        raise unexpected_outputs("four outputs (B, n, C), then four (B, n, 4 * bins)", shapes)
    rows = [shape[1] for shape in shapes[:_LEVELS] if shape[1] is not None]
    if frame is not None and len(rows) == _LEVELS:
        refuse_row_count(sum(rows), needs=len(grid_cells(frame, STRIDES)), frame=frame, strides=STRIDES)


def _count_classes(shapes: Shapes) -> int | None:
    return shapes[0][2] if known(shapes) else None


DISTRIBUTION = BoxDecoder(decode=_decode, count_classes=_count_classes, check=_check)
"""Four strides of a Generalized Focal Loss head."""
