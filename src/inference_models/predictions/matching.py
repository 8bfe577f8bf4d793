"""Which object of one answer is which object of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.record import Record

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray

LEAST_IOU = 0.9
"""Objects of one class that overlap by at least this are the same object, however large they are."""
TIE_IOU = 0.001
"""Overlaps that differ by no more say nothing about which of two objects it is: of the order of half a pixel in a
thousand. Their scores say it."""
_MOVED_IOU = 0.5
"""From here on it is the same object in another place; below it is not known which one it is."""


class Objects(Record, frozen=True):
    """The objects of one image, as arrays on the host."""

    xyxy: NumpyArray
    """(n, 4) float64."""
    class_id: NumpyArray
    """(n,) int64."""
    score: NumpyArray
    """(n,) float64."""

    @classmethod
    def of(cls, xyxy: NumpyArray, class_id: NumpyArray, score: NumpyArray) -> Objects:
        """The same values in these types."""
        boxes = np.asarray(xyxy, np.float64).reshape(-1, 4)
        return cls(boxes, np.asarray(class_id, np.int64), np.asarray(score, np.float64))


class Matches(Record, frozen=True):
    """Pairs are (k, 2) int64 row numbers, of the reference and of the other answer."""

    same: NumpyArray
    """Same class, and the same place."""
    moved: NumpyArray
    """Same class, and another place."""
    renamed: NumpyArray
    """Same place, and another class."""


def match_objects(reference: Objects, other: Objects, box_px: float) -> Matches:
    """Pairs of the same object in both answers, matched greedily by the score of the reference; one pair each.

    Args:
        reference: Those that choose: by overlap, and by score among those that overlap alike.
        other: Those that are chosen from.
        box_px: Boxes no edge of which is farther off are in the same place, whatever their overlap: half a pixel is
            much of a small box.
    """
    overlap = box_iou(reference.xyxy, other.xyxy)
    apart = np.abs(reference.xyxy[:, None] - other.xyxy[None, :]).max(axis=2)
    alike = reference.class_id[:, None] == other.class_id[None, :]
    in_place = (overlap >= LEAST_IOU) | (apart <= box_px)
    pairing = _Pairing(overlap, reference.score, other.score)
    same = pairing.take(alike & in_place)
    renamed = pairing.take(~alike & in_place)
    moved = pairing.take(alike & (overlap >= _MOVED_IOU))
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


class _Pairing:
    """Objects that have no partner yet."""

    def __init__(self, overlap: NumpyArray, reference: NumpyArray, other: NumpyArray) -> None:
        self._overlap = overlap
        # Finite, so that no score can make one the best that does not fit.
        self._apart = np.nan_to_num(np.abs(reference[:, None] - other[None, :]), nan=1.0)
        self._order = np.argsort(-reference, kind="stable")
        self._free = np.ones(len(reference), np.bool_), np.ones(len(other), np.bool_)

    def take(self, fitting: NumpyArray) -> NumpyArray:
        """(k, 2) pairs among the (n, m) that fit."""
        pairs = []
        for row in self._order:
            candidates = fitting[row] & self._free[1]
            if not self._free[0][row] or not candidates.any():
                continue
            best = self._overlap[row][candidates].max()
            ties = candidates & (self._overlap[row] >= best - TIE_IOU)
            partner = int(np.argmin(np.where(ties, self._apart[row], np.inf)))
            self._free[0][row] = self._free[1][partner] = False
            pairs.append((int(row), partner))
        return np.array(pairs, np.int64).reshape(-1, 2)
