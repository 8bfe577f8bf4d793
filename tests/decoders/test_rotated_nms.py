from __future__ import annotations

import math

import numpy as np
import pytest

from inference_models.decoders.oriented import corners_of, rectangles_around
from inference_models.decoders.rotated_nms import rotated_nms
from optional import torch


def probabilistic_iou(first: np.ndarray, second: np.ndarray) -> float:
    """Of two boxes, with matrices in float64, as arXiv 2106.06072 defines it."""

    def covariance(box: np.ndarray) -> np.ndarray:
        turn = np.array([[math.cos(box[4]), -math.sin(box[4])], [math.sin(box[4]), math.cos(box[4])]])
        return turn @ np.diag([box[2] ** 2 / 12, box[3] ** 2 / 12]) @ turn.T

    one, two = covariance(first), covariance(second)
    mean, apart = (one + two) / 2, first[:2] - second[:2]
    distance = apart @ np.linalg.inv(mean) @ apart / 8
    distance += math.log(np.linalg.det(mean) / math.sqrt(np.linalg.det(one) * np.linalg.det(two))) / 2
    return 1 - math.sqrt(max(0.0, 1 - math.exp(-max(distance, 0.0))))


def survivors(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, iou: float) -> list[int]:
    """Rows no better box of the same class overlaps by `iou`, itself kept or not."""
    order = np.argsort(-scores, kind="stable")
    return [
        int(row)
        for place, row in enumerate(order)
        if not any(
            classes[row] == classes[better] and probabilistic_iou(boxes[better], boxes[row]) >= iou
            for better in order[:place]
        )
    ]


def crowd(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    boxes = np.stack(
        [
            generator.uniform(0, 100, count),
            generator.uniform(0, 100, count),
            generator.uniform(5, 40, count),
            generator.uniform(5, 40, count),
            generator.uniform(-1, 3, count),
        ],
        axis=1,
    ).astype(np.float32)
    return boxes, generator.random(count).astype(np.float32), generator.integers(0, 3, count)


@pytest.mark.parametrize("iou", [0.1, 0.3, 0.7])
@pytest.mark.parametrize("count", [0, 1, 40, 300])
def test_what_survives_is_what_the_definition_says(count: int, iou: float) -> None:
    boxes, scores, classes = crowd(count)
    kept = rotated_nms(boxes, scores, classes, iou=iou, max_detections=1000)
    assert kept.tolist() == survivors(boxes, scores, classes, iou)
    assert kept.dtype == np.int64


def test_a_box_that_goes_itself_still_suppresses_as_the_exporter_has_it() -> None:
    row = np.array([[0, 0, 20, 10, 0], [8, 0, 20, 10, 0], [16, 0, 20, 10, 0]], np.float32)
    overlap = probabilistic_iou(row[0], row[1])
    assert overlap > 0.3 > probabilistic_iou(row[0], row[2])
    assert rotated_nms(row, np.array([0.9, 0.8, 0.7]), np.zeros(3), iou=0.3, max_detections=9).tolist() == [0]


def test_boxes_of_other_classes_suppress_where_that_is_asked_for() -> None:
    same = np.repeat(np.array([[10, 10, 8, 4, 0.3]], np.float32), 2, axis=0)
    scores, classes = np.array([0.5, 0.9], np.float32), np.array([0, 1])
    assert rotated_nms(same, scores, classes, iou=0.5, max_detections=9).tolist() == [1, 0]
    assert rotated_nms(same, scores, classes, iou=0.5, max_detections=9, class_agnostic=True).tolist() == [1]
    assert rotated_nms(same, scores, classes, iou=0.5, max_detections=1).tolist() == [1]


def test_what_is_no_number_takes_no_part() -> None:
    boxes, scores, classes = crowd(5)
    boxes[0, 4], scores[1], boxes[2, 2] = np.nan, np.inf, np.inf
    assert not {0, 1, 2} & set(rotated_nms(boxes, scores, classes, iou=0.5, max_detections=9).tolist())


def test_tensors_give_tensors() -> None:
    boxes, scores, classes = crowd(30)
    kept = rotated_nms(*map(torch.from_numpy, (boxes, scores, classes)), iou=0.3, max_detections=9)
    assert isinstance(kept, torch.Tensor)
    assert kept.tolist() == rotated_nms(boxes, scores, classes, iou=0.3, max_detections=9).tolist()


def test_a_rectangle_is_the_smallest_one_around_its_corners() -> None:
    boxes, _, _ = crowd(50)
    again = rectangles_around(corners_of(boxes))
    assert ((again[:, 4] >= 0) & (again[:, 4] < math.pi / 2)).all()
    np.testing.assert_allclose(again[:, :2], boxes[:, :2], atol=1e-4)
    np.testing.assert_allclose(np.sort(again[:, 2:4]), np.sort(boxes[:, 2:4]), atol=1e-3)
    # The corners are the same, whichever of them is the first.
    for first, second in zip(corners_of(again), corners_of(boxes), strict=True):
        assert min(np.abs(np.roll(second, step, axis=0) - first).max() for step in range(4)) < 1e-3


def test_a_stretched_box_is_the_smallest_rectangle_around_its_corners() -> None:
    cv2 = pytest.importorskip("cv2")
    boxes, _, _ = crowd(50, seed=1)
    stretched = corners_of(boxes) * np.array([3, 1], np.float32)
    for found, corners in zip(rectangles_around(stretched), stretched, strict=True):
        (x, y), sides, _ = cv2.minAreaRect(corners)
        np.testing.assert_allclose(found[:2], [x, y], atol=1e-2)
        np.testing.assert_allclose(np.sort(found[2:4]), np.sort(sides), atol=1e-2)
