"""From scored anchors to boxes: thresholds first, then non-maximum suppression or a plain sort.

Outputs hold thousands of anchors and few objects, so a decoder finds the anchors that can pass from their best score
alone, and reads boxes and classes of only those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.arrays import device_of, namespace, to_numpy
from inference_models.decoders.layout import refuse_class_id
from inference_models.decoders.nms import nms
from inference_models.decoders.types import Boxes
from inference_models.record import Record

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.decoders.types import BoxLimits

LARGEST_EXPONENT = 80.0
"""exp of more leaves the range of float32."""


class Candidates(Record, frozen=True):
    """Anchors of one image that may become boxes."""

    anchor: Array
    """(k,) int64, ascending."""
    score: Array
    """(k,) float32."""
    class_id: Array
    """(k,) integers."""
    xyxy: Array
    """(k, 4) float32, network pixels."""

    def __getitem__(self, rows: Array) -> Candidates:
        return Candidates(self.anchor[rows], self.score[rows], self.class_id[rows], self.xyxy[rows])


def as_float32(value: Array | float, *, like: Array) -> Array:
    """`value` as float32, on the device and in the kind of `like`."""
    # A copy: tensors cannot be made from arrays that are read-only.
    numbers = np.array(to_numpy(value), dtype=np.float32)
    return namespace(like).asarray(numbers, device=device_of(like))


def lowest_threshold(limits: BoxLimits, *, like: Array) -> Array:
    """() float32: the least score that can pass for any class, in the precision of scores."""
    return as_float32(to_numpy(limits.confidence).min(), like=like)


def threshold_of(class_id: Array, limits: BoxLimits) -> Array:
    """() float32 when one number holds for all classes, else (k,): the threshold of each of `class_id`.

    Raises:
        CorruptedModelPackageError: a class has no threshold.
    """
    table = as_float32(limits.confidence, like=class_id)
    if table.ndim == 0:
        return table
    if class_id.shape[0]:
        refuse_class_id(int(class_id.max()), thresholds=table.shape[0])
    return table[class_id]


def passing(score: Array, limits: BoxLimits) -> Array:
    """(k,) int64: where `score` (n,) float32 is strictly above the lowest threshold; NaN never is."""
    xp = namespace(score)
    return xp.nonzero(score > lowest_threshold(limits, like=score))[0]


def suppress(found: Candidates, limits: BoxLimits) -> Boxes:
    """Boxes strictly above the threshold of their class that survive non-maximum suppression, best first.

    Raises:
        CorruptedModelPackageError: a class has no threshold.
    """
    found = eligible(found, limits)
    kept = nms(
        found.xyxy,
        found.score,
        found.class_id,
        iou=limits.iou,
        max_detections=limits.max_detections,
        class_agnostic=limits.class_agnostic,
    )
    return _boxes(found[kept])


def eligible(found: Candidates, limits: BoxLimits) -> Candidates:
    """Those strictly above the threshold of their class that show something of the image."""
    if to_numpy(limits.confidence).ndim:
        found = found[found.score > threshold_of(found.class_id, limits)]
    return _visible(found, limits)


def sigmoid(logits: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow on either side."""
    xp = namespace(logits)
    small = xp.exp(-xp.abs(logits))
    return xp.where(logits >= 0, 1 / (1 + small), small / (1 + small))


def best_rows(found: Candidates, limits: BoxLimits) -> Boxes:
    """The best `max_detections` rows, as they are: for graphs that hold the suppression themselves."""
    found = _visible(found, limits)
    xp = namespace(found.score)
    # NumPy's own argsort knows no `descending`; equal scores keep their order either way.
    order = xp.argsort(-found.score, stable=True)
    return _boxes(found[order[: max(0, limits.max_detections)]])


def corners(centre_x: Array, centre_y: Array, width: Array, height: Array) -> Array:
    """(k, 4) float32 x1 y1 x2 y2 of boxes given by centre and size, each (k,)."""
    xp = namespace(centre_x)
    half_width, half_height = width / 2, height / 2
    columns = [centre_x - half_width, centre_y - half_height, centre_x + half_width, centre_y + half_height]
    return xp.stack(columns, axis=-1)


def _visible(found: Candidates, limits: BoxLimits) -> Candidates:
    """Without what shows nothing of the image: padding must neither suppress a box nor take its place."""
    return found if limits.shows is None else found[limits.shows(found.xyxy)]


def _boxes(found: Candidates) -> Boxes:
    xp = namespace(found.score)
    return Boxes(
        xyxy=found.xyxy,
        confidence=found.score,
        class_id=xp.astype(found.class_id, xp.int32),
        anchor=xp.astype(found.anchor, xp.int64),
    )
