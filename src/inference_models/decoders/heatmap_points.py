"""Key points from one heat map each: the largest cell, moved to the top of the parabola through its surroundings.

1. The score of a point is the value of its largest cell; where no cell is above 0 its place is cell (-1, -1).
2. Maps are smoothed (Gaussian of 0.8 cells), and their logarithm between 0.001 and 50 is taken.
3. A Newton step by the differences of neighbouring cells leads from the cell to the point (DARK, arXiv 1910.06278).

Checked against `VitPoseImageProcessor` of transformers 5.24.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.arrays import to_numpy

if TYPE_CHECKING:
    from inference_models.arrays import Array, NumpyArray

_SIGMA, _RADIUS = 0.8, 5
_LEAST, _MOST = 0.001, 50.0


def points_of_heatmaps(heatmaps: Array) -> dict[str, NumpyArray]:
    """What a head for crops gives, of (B, K, h, w) heat maps whose outer cells lie on the edges of the crop.

    Returns:
        `keypoints` (B, K, 2) x y as parts of the crop, `sigmas` (B, K, 2), zeros, `presence` (B, K) scores of points,
        and `scores` (B, K), ones.
    """
    maps = np.asarray(to_numpy(heatmaps), np.float32)
    batch, count, height, width = maps.shape
    flat = maps.reshape(batch * count, height * width)
    place, score = flat.argmax(1), flat.max(1)
    cell = np.stack([place % width, place // width], -1)
    cell[score <= 0] = -1
    around = np.pad(_logarithms(maps.reshape(-1, height, width)), ((0, 0), (1, 1), (1, 1)), mode="edge").reshape(-1)
    index = (cell[:, 0] + 1) + (cell[:, 1] + 1) * (width + 2) + np.arange(len(cell)) * (width + 2) * (height + 2)
    xy = cell - _steps(around, index, width + 2)
    parts = (xy / (width - 1, height - 1)).reshape(batch, count, 2).astype(np.float32)
    ones = np.ones((batch, count), np.float32)
    return {
        "keypoints": parts,
        "sigmas": np.zeros_like(parts),
        "presence": score.reshape(batch, count),
        "scores": ones,
    }


def _logarithms(maps: NumpyArray) -> NumpyArray:
    import cv2  # noqa: PLC0415

    weights = np.exp(-0.5 * np.square(np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA))
    weights /= weights.sum()
    smooth = [cv2.sepFilter2D(plane, -1, weights, weights, borderType=cv2.BORDER_REFLECT) for plane in maps]
    return np.asarray(np.log(np.clip(np.stack(smooth), _LEAST, _MOST)))


def _steps(flat: NumpyArray, index: NumpyArray, row: int) -> NumpyArray:
    """(n, 2) x y from the top of each parabola to the cell `index` of padded maps with `row` cells in a row."""

    def at(step: int) -> NumpyArray:
        return np.asarray(flat[(index + step) % len(flat)])

    middle, right, left, below, above = at(0), at(1), at(-1), at(row), at(-row)
    slope = np.stack([right - left, below - above], -1) / 2
    across, down = right - 2 * middle + left, below - 2 * middle + above
    both = (at(row + 1) - right - below + middle + middle - left - above + at(-row - 1)) / 2
    curve = np.stack([np.stack([across, both], -1), np.stack([both, down], -1)], -2)
    inverse = np.linalg.inv(curve + np.finfo(np.float32).eps * np.eye(2))
    return np.asarray(np.einsum("imn,in->im", inverse, slope))
