"""Greedy non-maximum suppression, exact and bounded in time.

1. Rows that hold a NaN or an infinity are left out; the rest is sorted by score, equal scores by row.
2. Candidates are taken in that order, a block at a time. A block first loses what a box kept earlier suppresses;
   what is left is resolved inside the block, best first.
3. It stops as soon as `max_detections` boxes are kept, so a dense output costs little more than a sparse one.

All arithmetic is float32: box j goes when `intersection > iou * union` with a better, kept box i of its class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models import config
from inference_models.arrays import is_torch, to_numpy, to_torch
from inference_models.record import Record

if TYPE_CHECKING:
    from inference_models.arrays import Array, NumpyArray

_BLOCK = 256
"""Candidates resolved together: a (block, block) float32 matrix stays in the second-level cache."""
_KEPT_CHUNK = 512
"""Kept boxes a block is held against at once, for the same reason."""


def nms(
    xyxy: Array,
    scores: Array,
    class_ids: Array,
    *,
    iou: float,
    max_detections: int,
    class_agnostic: bool = False,
    pre_nms_top_k: int = config.PRE_NMS_TOP_K,
) -> Array:
    """Rows that survive, (k,) int64, best score first; the same kind of array as `xyxy`, on its device.

    The work is done on the host: CPU tensors are viewed without a copy, tensors of other devices are copied there.

    Args:
        xyxy: (n, 4) float32, x1 y1 x2 y2. A box without area overlaps nothing.
        scores: (n,) float32.
        class_ids: (n,) integers.
        iou: a box goes when it overlaps a better one of its class by strictly more than this.
        max_detections: most rows to keep.
        class_agnostic: boxes of other classes suppress too.
        pre_nms_top_k: candidates that take part at most, best scores first.
    """
    boxes = np.asarray(to_numpy(xyxy), np.float32)
    order = _best_first(boxes, to_numpy(scores), pre_nms_top_k)
    classes = None if class_agnostic else to_numpy(class_ids)[order]
    with np.errstate(over="ignore", invalid="ignore"):
        candidates = _Columns.of(boxes[order], classes)
        kept = order[_greedy(candidates, np.float32(iou), max_detections)]
    return to_torch(kept, str(xyxy.device)) if is_torch(xyxy) else kept


class _Columns(Record, frozen=True):
    """Boxes as columns, in the order in which they are looked at."""

    x1: NumpyArray
    y1: NumpyArray
    x2: NumpyArray
    y2: NumpyArray
    area: NumpyArray
    class_ids: NumpyArray | None
    """None: all boxes compete."""

    @classmethod
    def of(cls, boxes: NumpyArray, class_ids: NumpyArray | None) -> _Columns:
        """Columns of (n, 4) float32 boxes."""
        x1, y1, x2, y2 = np.ascontiguousarray(boxes.T)
        area = np.maximum(x2 - x1, 0) * np.maximum(y2 - y1, 0)
        return cls(x1, y1, x2, y2, area, class_ids)

    def __len__(self) -> int:
        return len(self.area)

    def __getitem__(self, rows: NumpyArray | slice) -> _Columns:
        class_ids = None if self.class_ids is None else self.class_ids[rows]
        return _Columns(self.x1[rows], self.y1[rows], self.x2[rows], self.y2[rows], self.area[rows], class_ids)


def _best_first(boxes: NumpyArray, scores: NumpyArray, limit: int) -> NumpyArray:
    finite = np.isfinite(boxes).all(axis=1) & np.isfinite(scores)
    rows = np.flatnonzero(finite)
    order = np.argsort(-scores[rows], kind="stable")[:limit]
    return np.asarray(rows[order], np.int64)


def _greedy(candidates: _Columns, iou: np.float32, limit: int) -> NumpyArray:
    kept = np.empty(max(0, min(limit, len(candidates))), np.int64)
    count = 0
    for start in range(0, len(candidates), _BLOCK):
        if count == len(kept):
            break
        rows = np.arange(start, min(start + _BLOCK, len(candidates)))
        rows = _not_suppressed(rows, kept[:count], candidates, iou)
        rows = rows[_resolve(candidates[rows], iou)][: len(kept) - count]
        kept[count : count + len(rows)] = rows
        count += len(rows)
    return kept[:count]


def _not_suppressed(rows: NumpyArray, kept: NumpyArray, candidates: _Columns, iou: np.float32) -> NumpyArray:
    for start in range(0, len(kept), _KEPT_CHUNK):
        if len(rows) == 0:
            break
        better = candidates[kept[start : start + _KEPT_CHUNK]]
        rows = rows[~_suppression(better, candidates[rows], iou).any(axis=0)]
    return rows


def _resolve(block: _Columns, iou: np.float32) -> NumpyArray:
    suppression = np.triu(_suppression(block, block, iou), k=1)
    alive = np.ones(len(block), np.bool_)
    for row in np.flatnonzero(suppression.any(axis=1)):
        if alive[row]:
            alive &= ~suppression[row]
    return alive


def _suppression(better: _Columns, worse: _Columns, iou: np.float32) -> NumpyArray:
    """(len(better), len(worse)) bool: whether a box of `better` removes one of `worse`."""
    width = np.minimum(better.x2[:, None], worse.x2)
    width -= np.maximum(better.x1[:, None], worse.x1)
    height = np.minimum(better.y2[:, None], worse.y2)
    height -= np.maximum(better.y1[:, None], worse.y1)
    intersection = np.maximum(width, 0, out=width)
    intersection *= np.maximum(height, 0, out=height)
    union = np.add(better.area[:, None], worse.area, out=height)
    union -= intersection
    union *= iou
    overlaps: NumpyArray = intersection > union
    if better.class_ids is not None and worse.class_ids is not None:
        overlaps &= better.class_ids[:, None] == worse.class_ids
    return overlaps
