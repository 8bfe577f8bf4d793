"""Layouts of rotated boxes: cx cy w h in network pixels, and an angle in radians, clockwise as seen in the picture.

| constant       | outputs                                         | passes       |
|----------------|-------------------------------------------------|--------------|
| `FINAL`        | (B, M, 7) cx cy w h, score, class, angle        | >= threshold |
| `FINAL_OR_RAW` | the same, or (B, 4 + C + 1, N) cx cy w h, classes, angle, > threshold, which is suppressed here |

Checked against ultralytics 8.4.190.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from inference_models.arrays import namespace
from inference_models.decoders.boxes import FINAL as FINAL_BOXES
from inference_models.decoders.candidates import Candidates, as_float32, eligible, passing
from inference_models.decoders.layout import Layout
from inference_models.decoders.rotated_nms import rotated_nms
from inference_models.decoders.types import OrientedBoxes, OrientedDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.arrays import Array
    from inference_models.decoders.types import BoxLimits, Frame, Outputs, Shapes

_RAW = Layout("one output (B, 4 + C + 1, N)", ((None, None, None),), class_axis=(0, 1), before_classes=5)
_FINAL = Layout("one output (B, M, 7)", ((None, None, 7),))


def corners_of(xywhr: Array) -> Array:
    """(n, 4, 2) corners of (n, 5) rotated boxes, clockwise from the top left one of the box before it is rotated."""
    xp = namespace(xywhr)
    cosine, sine = xp.cos(xywhr[:, 4]), xp.sin(xywhr[:, 4])
    along = xp.stack([cosine, sine], axis=-1) * xywhr[:, 2:3] / 2
    across = xp.stack([-sine, cosine], axis=-1) * xywhr[:, 3:4] / 2
    offsets = [-along - across, along - across, along + across, across - along]
    return xywhr[:, None, :2] + xp.stack(offsets, axis=1)


def rectangles_around(corners: Array) -> Array:
    """(n, 5) the smallest rotated boxes around (n, 4, 2) parallelograms, angles in [0, pi / 2).

    A rectangle is its own; one that was stretched along the axes of the picture is a parallelogram.
    """
    xp = namespace(corners)
    wide = xp.astype(corners, xp.float64)
    sides = wide[:, 1, :] - wide[:, 0, :], wide[:, 3, :] - wide[:, 0, :]
    along_first, along_second = _around(*sides), _around(sides[1], sides[0])
    smaller = along_first[:, 0] * along_first[:, 1] <= along_second[:, 0] * along_second[:, 1]
    width, height, angle = (xp.where(smaller, along_first[:, at], along_second[:, at]) for at in range(3))
    turned = angle % math.pi >= math.pi / 2
    size = [xp.where(turned, height, width), xp.where(turned, width, height)]
    centre = xp.mean(wide, axis=1)
    boxes = xp.stack([centre[:, 0], centre[:, 1], *size, angle % (math.pi / 2)], axis=-1)
    return xp.astype(boxes, corners.dtype)


def _around(base: Array, other: Array) -> Array:
    """(n, 3) width, height and angle of boxes around parallelograms, `base` (n, 2) along the width."""
    xp = namespace(base)
    length = xp.sqrt(xp.sum(base * base, axis=1))
    unit = base / xp.where(length > 0, length, 1.0)[:, None]
    width = length + xp.abs(xp.sum(other * unit, axis=1))
    height = xp.abs(unit[:, 0] * other[:, 1] - unit[:, 1] * other[:, 0])
    return xp.stack([width, height, xp.atan2(base[:, 1], base[:, 0])], axis=-1)


def _upright(xywhr: Array) -> Array:
    """(n, 4) x1 y1 x2 y2 of the upright boxes around rotated ones."""
    xp, corners = namespace(xywhr), corners_of(xywhr)
    return xp.concat([xp.min(corners, axis=1), xp.max(corners, axis=1)], axis=1)


def _raw(columns: Array, scale: Array | None, limits: BoxLimits) -> OrientedBoxes:
    """Of one image, (4 + C + 1, N); `scale` (4,) turns its boxes into pixels."""
    xp = namespace(columns)
    anchor = passing(xp.astype(xp.max(columns[4:-1, :], axis=0), xp.float32), limits)
    rows = xp.astype(xp.permute_dims(xp.take(columns, anchor, axis=1), (1, 0)), xp.float32)
    box = rows[:, :4] if scale is None else rows[:, :4] * scale
    xywhr, classes = xp.concat([box, rows[:, -1:]], axis=1), rows[:, 4:-1]
    numbers = xp.arange(anchor.shape[0])
    found = eligible(Candidates(numbers, xp.max(classes, axis=1), xp.argmax(classes, axis=1), _upright(xywhr)), limits)
    kept = rotated_nms(
        xywhr[found.anchor, :],
        found.score,
        found.class_id,
        iou=limits.iou,
        max_detections=limits.max_detections,
        class_agnostic=limits.class_agnostic,
    )
    found = found[kept]
    return OrientedBoxes(xywhr[found.anchor, :], found.score, xp.astype(found.class_id, xp.int32))


def _decode_raw(outputs: Outputs, frame: Frame, limits: BoxLimits, normalized: bool) -> list[OrientedBoxes]:
    (output,) = _RAW.select(outputs)
    scale = as_float32([frame[1], frame[0]] * 2, like=output) if normalized else None
    return [_raw(columns, scale, limits) for columns in output]


def _decode_final(outputs: Outputs, frame: Frame, limits: BoxLimits, _: bool) -> list[OrientedBoxes]:
    (output,) = _FINAL.select(outputs)
    return [_final(rows, frame, limits) for rows in output]


def _final(rows: Array, frame: Frame, limits: BoxLimits) -> OrientedBoxes:
    """Of one image, (M, 7)."""
    xp = namespace(rows)
    rows = xp.astype(rows, xp.float32)
    xywhr = xp.concat([rows[:, :4], rows[:, 6:]], axis=1)
    (boxes,) = FINAL_BOXES.decode([xp.concat([_upright(xywhr), rows[:, 4:6]], axis=1)[None, ...]], frame, limits)
    return OrientedBoxes(xywhr[boxes.anchor, :], boxes.confidence, boxes.class_id)


def _is_final(shape: Sequence[int | None]) -> bool:
    # No input gives 7 anchors.
    return len(shape) == 3 and shape[2] == 7


def _decode_either(outputs: Outputs, frame: Frame, limits: BoxLimits, normalized: bool) -> list[OrientedBoxes]:
    decode = _decode_final if outputs and _is_final(outputs[0].shape) else _decode_raw
    return decode(outputs, frame, limits, normalized)


def _count_classes(shapes: Shapes) -> int | None:
    if shapes and _is_final(shapes[0]):
        return None
    _RAW.check(shapes)
    return _RAW.count_classes(shapes)


def _check_final(shapes: Shapes) -> None:
    _FINAL.check(shapes)


FINAL = OrientedDecoder(_decode_final, _check_final)
"""Graphs that hold the suppression, or need none."""

FINAL_OR_RAW = OrientedDecoder(_decode_either, _count_classes)
"""By any exporter's choice of head."""
