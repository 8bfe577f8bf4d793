"""Non-maximum suppression of rotated boxes, as Ultralytics does it: probabilistic IoU, one pass.

1. Rows that hold a NaN or an infinity are left out; the rest is sorted by score, equal scores by row.
2. A box goes when any better one of its class overlaps it by at least `iou`, also one that goes itself.
3. It stops as soon as `max_detections` boxes are kept.

Overlap of the Gaussians of two boxes (arXiv 2106.06072): with covariance [[a, c], [c, b]] of each, w^2 / 12 and
h^2 / 12 along its sides, and B their Bhattacharyya distance, 1 - sqrt(1 - exp(-B)). Checked against ultralytics
8.4.190.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.arrays import is_torch, to_numpy, to_torch

if TYPE_CHECKING:
    from inference_models.arrays import Array, NumpyArray

MOST_CANDIDATES = 10_000
"""That take part, best scores first; bounds the time on hostile input."""
_BLOCK = 256
_EPSILON = 1e-7


def rotated_nms(
    xywhr: Array, scores: Array, class_ids: Array, *, iou: float, max_detections: int, class_agnostic: bool = False
) -> Array:
    """Rows that survive, (k,) int64, best score first; the same kind of array as `xywhr`, on its device.

    Args:
        xywhr: (n, 5) float32, centre, width, height, angle in radians.
        scores: (n,) float32.
        class_ids: (n,) integers.
        iou: a box goes when it overlaps a better one of its class by this or more.
        max_detections: most rows to keep.
        class_agnostic: boxes of other classes suppress too.
    """
    boxes = np.asarray(to_numpy(xywhr), np.float32)
    sure = to_numpy(scores)
    rows = np.flatnonzero(np.isfinite(boxes).all(axis=1) & np.isfinite(sure))
    order = rows[np.argsort(-sure[rows], kind="stable")][:MOST_CANDIDATES]
    classes = np.zeros(len(order)) if class_agnostic else to_numpy(class_ids)[order]
    kept = np.asarray(order[_survivors(boxes[order], classes, np.float32(iou), max_detections)], np.int64)
    return to_torch(kept, str(xywhr.device)) if is_torch(xywhr) else kept


def _survivors(boxes: NumpyArray, classes: NumpyArray, iou: np.float32, limit: int) -> NumpyArray:
    gaussians = _gaussians(boxes)
    kept: list[int] = []
    for start in range(0, len(boxes), _BLOCK):
        if len(kept) >= limit:
            break
        rows = np.arange(start, min(start + _BLOCK, len(boxes)))
        for first in range(0, start + 1, _BLOCK):
            better = np.arange(first, min(first + _BLOCK, len(boxes)))
            overlap = _overlap(gaussians[:, better, None], gaussians[:, None, rows])
            beaten = (overlap >= iou) & (classes[better, None] == classes[rows]) & (better[:, None] < rows)
            rows = rows[~beaten.any(axis=0)]
        kept += rows.tolist()
    return np.array(kept[: max(0, limit)], np.int64)


def _gaussians(boxes: NumpyArray) -> NumpyArray:
    """(5, n) float32: centre x, y, and a, b, c of the covariance."""
    x, y, width, height, angle = boxes.T
    along, across = width * width / 12, height * height / 12
    cosine, sine = np.cos(angle), np.sin(angle)
    a = along * cosine**2 + across * sine**2
    b = along * sine**2 + across * cosine**2
    return np.stack([x, y, a, b, (along - across) * cosine * sine])


def _overlap(first: NumpyArray, second: NumpyArray) -> NumpyArray:
    """Of Gaussians, each (5, ...) of shapes that go together."""
    (x1, y1, a1, b1, c1), (x2, y2, a2, b2, c2) = first, second
    a, b, c = a1 + a2, b1 + b2, c1 + c2
    determinant = a * b - c * c
    own = np.maximum(a1 * b1 - c1 * c1, 0) * np.maximum(a2 * b2 - c2 * c2, 0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        apart = (a * (y1 - y2) ** 2 + b * (x1 - x2) ** 2 + 2 * c * (x2 - x1) * (y1 - y2)) / (determinant + _EPSILON)
        spread = np.log(determinant / (4 * np.sqrt(own) + _EPSILON) + _EPSILON)
        distance = np.clip(apart / 4 + spread / 2, _EPSILON, 100)
        overlap: NumpyArray = 1 - np.sqrt(1 - np.exp(-distance) + _EPSILON)
    return overlap
