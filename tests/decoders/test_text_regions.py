"""Regions of drawn maps, whose corners and scores are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from inference_models.decoders.text_regions import TEXT_REGIONS
from inference_models.decoders.types import BoxLimits
from inference_models.errors import CorruptedModelPackageError
from optional import torch

FRAME = (96, 160)
LIMITS = BoxLimits(confidence=0.6, iou=0.3, max_detections=1000)


def painted(*bars: tuple[tuple[float, float], tuple[float, float], float, float]) -> np.ndarray:
    """(1, 1, H, W): bars of (centre, size, angle, score)."""
    scores = np.zeros(FRAME, np.float32)
    for centre, size, angle, score in bars:
        corners = np.rint(cv2.boxPoints((centre, size, angle))).astype(np.int32)
        cv2.fillPoly(scores, [corners], score)
    return scores[None, None]


def decode(maps: np.ndarray, limits: BoxLimits = LIMITS):
    return TEXT_REGIONS.decode([maps], FRAME, limits)[0]


def test_a_region_grows_by_its_area_over_its_perimeter():
    # 60 x 10 between the centres of its outermost pixels: 600 x 1.5 / 140 on every side.
    boxes = decode(painted(((60, 40), (60, 10), 0, 0.9)))
    more = 600 * 1.5 / 140
    np.testing.assert_allclose(boxes.xyxy, [[30 - more, 35 - more, 90 + more, 45 + more]], atol=1e-4)
    assert boxes.confidence == pytest.approx([0.9])
    x1, y1, x2, y2 = boxes.xyxy[0]
    np.testing.assert_array_equal(boxes.polygons, [[[x1, y1], [x2, y1], [x2, y2], [x1, y2]]])
    assert (boxes.xyxy.dtype, boxes.confidence.dtype, boxes.class_id.dtype) == (np.float32, np.float32, np.int32)


def test_a_tilted_text_has_tilted_corners_from_the_upper_left_one_on():
    (corners,) = decode(painted(((80, 48), (80, 14), 20, 0.9))).polygons
    right, down = corners[1] - corners[0], corners[3] - corners[0]
    assert np.degrees(np.arctan2(right[1], right[0])) == pytest.approx(20, abs=2)
    assert abs(right @ down) < 1
    assert corners.mean(axis=0) == pytest.approx([80, 48], abs=0.5)


def test_the_best_region_is_first_and_weak_thin_and_hidden_ones_are_left_out():
    bars = [((40, 20), (40, 8), 0, 0.7), ((110, 60), (40, 8), 0, 0.9), ((40, 60), (40, 8), 0, 0.5)]
    maps = painted(*bars, ((110, 20), (40, 1), 0, 0.9))
    assert decode(maps).confidence.tolist() == pytest.approx([0.9, 0.7])
    assert decode(maps, BoxLimits(0.4, 0.3, 1000)).confidence.tolist() == pytest.approx([0.9, 0.7, 0.5])
    assert decode(maps, BoxLimits(0.6, 0.3, 1)).confidence.tolist() == pytest.approx([0.9])
    left = BoxLimits(0.6, 0.3, 1000, shows=lambda xyxy: xyxy[:, 0] < 80)
    assert decode(maps, left).confidence.tolist() == pytest.approx([0.7])


def test_no_text_gives_empty_arrays_of_the_usual_shapes():
    boxes = decode(painted())
    assert (boxes.xyxy.shape, boxes.polygons.shape, boxes.class_id.dtype) == ((0, 4), (0, 4, 2), np.int32)


def test_tensors_stay_tensors():
    maps = painted(((60, 40), (60, 10), 0, 0.9))
    boxes = decode(torch.from_numpy(maps))
    assert isinstance(boxes.polygons, torch.Tensor)
    np.testing.assert_array_equal(boxes.xyxy.numpy(), decode(maps).xyxy)


def test_another_layout_is_refused_with_both_values():
    with pytest.raises(CorruptedModelPackageError, match=r"needs one output \(B, 1, H, W\); found: \(1, 2, 96, 160\)"):
        TEXT_REGIONS.check([(1, 2, 96, 160)], None)
    with pytest.raises(CorruptedModelPackageError, match=r"\(B, 1, 96, 160\), as large as the input; found: \(1, 1, 4"):
        decode(painted()[:, :, ::2, ::2])
