"""Layouts of key points with a box each, in network pixels; B images, N anchors, C classes, M final rows, K points.

| constant       | outputs                                                             | like the boxes of   |
|----------------|---------------------------------------------------------------------|---------------------|
| `FINAL`        | (B, M, 6 + 3 K) x1 y1 x2 y2, score, class, K times x y visibility   | `boxes.FINAL`       |
| `FINAL_OR_RAW` | the same, or (B, 4 + C + 3 K, N) cx cy w h, classes, the same points| `boxes.ANCHOR_FREE` |

Checked against ultralytics 8.4.190. Models trained without visibility give 2 K instead of 3 K numbers: every point of
theirs counts as sure. Visibility has gone through the sigmoid.

Steps: 1. boxes, classes and suppression as the box layout does it; 2. points of the rows that are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.arrays import namespace
from inference_models.decoders.boxes import ANCHOR_FREE
from inference_models.decoders.boxes import FINAL as FINAL_BOXES
from inference_models.decoders.candidates import as_float32
from inference_models.decoders.layout import unexpected_outputs
from inference_models.decoders.types import KeyPointDecoder, PointSets
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import Array
    from inference_models.decoders.types import Boxes, BoxLimits, Frame, KeyPointHead, Outputs, Shapes

_RAW, _FINAL = 1, 2
"""The axis that holds the numbers of one anchor, and of one final row."""
_BOX, _FINAL_ROW = 4, 6
_PER_POINT = (3, 2)
"""Numbers of one point: with, and without visibility."""
_FORMS = {_RAW: "(B, {}, N)", _FINAL: "(B, M, {})"}


def _decode_raw(outputs: Outputs, frame: Frame, limits: BoxLimits, head: KeyPointHead) -> list[PointSets]:
    output, first = outputs[0], _BOX + head.classes
    if head.normalized:
        output = _in_pixels(output, frame, head)
    found = ANCHOR_FREE.decode([output[:, :first, :]], frame, limits)
    xp = namespace(output)
    rows = [
        xp.permute_dims(xp.take(image[first:, :], boxes.anchor, axis=1), (1, 0))
        for image, boxes in zip(output, found, strict=True)
    ]
    return [_point_sets(boxes, points, head) for boxes, points in zip(found, rows, strict=True)]


def _decode_final(outputs: Outputs, frame: Frame, limits: BoxLimits, head: KeyPointHead) -> list[PointSets]:
    output = outputs[0]
    found = FINAL_BOXES.decode([output[:, :, :_FINAL_ROW]], frame, limits)
    return [
        _point_sets(boxes, image[boxes.anchor, _FINAL_ROW:], head) for boxes, image in zip(found, output, strict=True)
    ]


def _decode_either(outputs: Outputs, frame: Frame, limits: BoxLimits, head: KeyPointHead) -> list[PointSets]:
    raw = outputs[0].shape[_RAW] in _lengths(_RAW, head)
    return (_decode_raw if raw else _decode_final)(outputs, frame, limits, head)


def _point_sets(boxes: Boxes, points: Array, head: KeyPointHead) -> PointSets:
    """Key points of `boxes` from the (n, K D) numbers of each: x, y, and visibility where D is 3."""
    xp = namespace(points)
    per_point = points.shape[1] // max(1, head.points)
    rows = xp.astype(xp.reshape(points, (points.shape[0], head.points, per_point)), xp.float32)
    sure = rows[..., 2] if per_point == _PER_POINT[0] else xp.ones_like(rows[..., 0])
    return PointSets(boxes, rows[..., :2], sure)


def _in_pixels(output: Array, frame: Frame, head: KeyPointHead) -> Array:
    """(B, 4 + C + D K, N) with coordinates in pixels, from parts of the input size."""
    height, width = frame
    per_point = (output.shape[_RAW] - _BOX - head.classes) // head.points
    scale = [width, height] * 2 + [1] * head.classes + [width, height, 1][:per_point] * head.points
    return output * as_float32(scale, like=output)[None, :, None]


def _lengths(axis: int, head: KeyPointHead) -> list[int]:
    before = _BOX + head.classes if axis == _RAW else _FINAL_ROW
    return [before + per_point * head.points for per_point in _PER_POINT]


class _Head(Record, frozen=True):
    """A layout of the first output, which has one of the lengths on one of the axes."""

    read: Callable[..., list[PointSets]]
    axes: tuple[int, ...]

    def check(self, shapes: Shapes, head: KeyPointHead) -> None:
        shape = shapes[0] if shapes else ()
        if len(shape) == 3 and any(shape[axis] in {None, *_lengths(axis, head)} for axis in self.axes):
            return
        needs = " or ".join(_FORMS[axis].format(_lengths(axis, head)[0]) for axis in self.axes)
        raise unexpected_outputs(f"one output {needs}: {head.classes} classes, {head.points} key points", shapes)

    def decode(self, outputs: Outputs, frame: Frame, limits: BoxLimits, head: KeyPointHead) -> list[PointSets]:
        # Of some graphs only a run tells the shapes.
        self.check([tuple(output.shape) for output in outputs], head)
        return self.read(outputs, frame, limits, head)


_FINAL_HEAD, _ANY_HEAD = _Head(_decode_final, (_FINAL,)), _Head(_decode_either, (_RAW, _FINAL))
FINAL = KeyPointDecoder(_FINAL_HEAD.decode, _FINAL_HEAD.check)
"""Ultralytics graphs that hold the suppression, or need none."""

FINAL_OR_RAW = KeyPointDecoder(_ANY_HEAD.decode, _ANY_HEAD.check)
"""Ultralytics graphs, by any exporter's choice of head."""
