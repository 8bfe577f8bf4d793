"""Which object of one answer is which object of another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray

LEAST_IOU = 0.9
"""Objects of one class that overlap by at least this are the same object."""
_MOVED_IOU = 0.5
"""From here on it is the same object in another place; below it is not known which one it is."""


@dataclass(frozen=True)
class Objects:
    """The objects of one image, as arrays on the host."""

    xyxy: NumpyArray
    """(n, 4) float64."""
    class_id: NumpyArray
    """(n,) int64."""
    score: NumpyArray
    """(n,) float64."""


@dataclass(frozen=True)
class Matches:
    """Pairs are (k, 2) int64 row numbers, of the reference and of the other answer."""

    same: NumpyArray
    """Same class, and the same place."""
    moved: NumpyArray
    """Same class, and another place."""
    renamed: NumpyArray
    """Same place, and another class."""


def match_objects(reference: Objects, other: Objects) -> Matches:
    """Who is who; each object is in at most one pair, and those of the reference choose by score, best first."""
    overlap = box_iou(reference.xyxy, other.xyxy)
    alike = reference.class_id[:, None] == other.class_id[None, :]
    order = np.argsort(-reference.score, kind="stable")
    free = np.ones(len(reference.score), np.bool_), np.ones(len(other.score), np.bool_)
    same = _pair(np.where(alike, overlap, 0), LEAST_IOU, order, free)
    renamed = _pair(np.where(alike, 0, overlap), LEAST_IOU, order, free)
    moved = _pair(np.where(alike, overlap, 0), _MOVED_IOU, order, free)
    return Matches(same, moved, renamed)


def box_iou(first: NumpyArray, second: NumpyArray) -> NumpyArray:
    """(n, m) overlap of (n, 4) and (m, 4) x1 y1 x2 y2 boxes: what they share over what they cover together.

    Two boxes without area overlap wholly where they are equal, and else not at all.
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    covered = _area(first)[:, None] + _area(second)[None, :] - shared
    equal = (first[:, None] == second[None, :]).all(axis=2)
    overlap: NumpyArray = np.where(covered > 0, shared / np.where(covered > 0, covered, 1), equal)
    return overlap


def _area(boxes: NumpyArray) -> NumpyArray:
    area: NumpyArray = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)
    return area


def _pair(overlap: NumpyArray, least: float, order: NumpyArray, free: tuple[NumpyArray, NumpyArray]) -> NumpyArray:
    """Takes the pairs it makes out of `free`."""
    pairs = []
    for row in order:
        if not free[0][row] or not overlap.shape[1]:
            continue
        candidates = np.where(free[1], overlap[row], 0)
        best = int(np.argmax(candidates))
        if candidates[best] >= least:
            free[0][row] = free[1][best] = False
            pairs.append((int(row), best))
    return np.array(pairs, np.int64).reshape(-1, 2)
