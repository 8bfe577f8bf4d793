"""CenterFace: one heat map of centres, and the size and offset of the box at each of its cells.

Layout of the published ONNX file, stride 4, (B, channels, h, w): heat map after the sigmoid (1), log size (2: height,
width), offset (2: y, x), landmarks (10: y, x of five points).

1. Cells above the threshold.
2. centre = (cell + offset + 0.5) * 4; size = exp(log size) * 4.
3. Box = centre minus and plus half the size.
4. Non-maximum suppression.
5. Landmarks, where they are asked for: top left corner of the box + landmark * size of the box.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.arrays import namespace
from inference_models.decoders.candidates import LARGEST_EXPONENT, Candidates, corners, passing, suppress
from inference_models.decoders.layout import Layout, known, unexpected_outputs
from inference_models.decoders.types import BoxDecoder, KeyPointDecoder, PointSets
from inference_models.record import replace

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.decoders.types import Boxes, BoxLimits, Frame, KeyPointHead, Outputs, Shapes

_STRIDE = 4
_LAYOUT = Layout(
    "three outputs (B, 1, h, w), (B, 2, h, w), (B, 2, h, w)",
    ((None, 1, None, None), (None, 2, None, None), (None, 2, None, None)),
)


def _decode(outputs: Outputs, frame: Frame, limits: BoxLimits) -> list[Boxes]:
    _check([tuple(output.shape) for output in outputs], frame)
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


def _decode_landmarks(outputs: Outputs, frame: Frame, limits: BoxLimits, head: KeyPointHead) -> list[PointSets]:
    found = _decode(outputs, frame, limits)
    return [_landmarks(boxes, maps, head) for boxes, maps in zip(found, outputs[3], strict=True)]


def _landmarks(boxes: Boxes, maps: Array, head: KeyPointHead) -> PointSets:
    xp = namespace(maps)
    parts = xp.take(xp.reshape(maps, (2 * head.points, -1)), boxes.anchor, axis=1)
    y, x = (xp.permute_dims(xp.astype(parts[first::2, :], xp.float32), (1, 0)) for first in (0, 1))
    size = boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]
    xy = boxes.xyxy[:, None, :2] + xp.stack([x, y], axis=-1) * size[:, None, :]
    # The graph does not say how sure it is of a point; it is as sure as it is of the face.
    return PointSets(boxes, xy, xp.ones_like(x) * boxes.confidence[:, None])


def _check_landmarks(shapes: Shapes, head: KeyPointHead) -> None:
    _check(shapes, head.frame)
    numbers = 2 * head.points
    replace(
        _LAYOUT,
        needs=f"{_LAYOUT.needs}, (B, {numbers}, h, w)",
        shapes=(*_LAYOUT.shapes, (None, numbers, None, None)),
    ).check(shapes)


def _check(shapes: Shapes, frame: Frame | None) -> None:
    _LAYOUT.check(shapes)
    sizes = {tuple(shape[2:]) for shape in shapes[:3]} if known(shapes) else set()
    wanted = sizes if frame is None else {tuple(-(-side // _STRIDE) for side in frame)}
    if len(sizes) > 1 or (sizes != wanted and not any(None in size for size in sizes)):
        raise unexpected_outputs(f"{_LAYOUT.needs}, all of one size, a quarter of the input", shapes)


def _count_classes(_shapes: Shapes) -> int:
    return 1


HEATMAP = BoxDecoder(decode=_decode, count_classes=_count_classes, check=_check)
"""Faces, and any other single class."""

LANDMARKS = KeyPointDecoder(_decode_landmarks, _check_landmarks)
"""The same boxes with five points each: eyes, nose and corners of the mouth."""
