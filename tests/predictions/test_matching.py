from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from inference_models.predictions.matching import LEAST_IOU, TIE_IOU, Objects, box_iou, match_objects

side = st.integers(0, 40)
boxes = st.lists(st.tuples(side, side, side, side), max_size=7).map(
    lambda rows: np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float64).reshape(-1, 4)
)


@settings(max_examples=100, deadline=None)
@given(boxes, boxes)
def test_overlap_is_that_of_the_coco_tools(first: np.ndarray, second: np.ndarray) -> None:
    # pycocotools 2.0.11, to 1e-12. Boxes without area are ours: it divides by zero for them.
    first, second = (array[(array[:, 2:] > array[:, :2]).all(axis=1)] for array in (first, second))
    if not len(first) or not len(second):
        return
    wanted = coco.iou(xywh(first), xywh(second), [0] * len(second))
    np.testing.assert_allclose(box_iou(first, second), wanted, atol=1e-12)


def xywh(array: np.ndarray) -> np.ndarray:
    return np.concatenate([array[:, :2], array[:, 2:] - array[:, :2]], axis=1)


def test_boxes_without_area_overlap_only_themselves() -> None:
    points = np.array([[3, 3, 3, 3], [5, 5, 5, 5]], np.float64)
    np.testing.assert_array_equal(box_iou(points, points), np.eye(2))


@st.composite
def objects(draw: st.DrawFn) -> Objects:
    xyxy = draw(boxes)
    count = len(xyxy)
    classes = draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
    scores = draw(st.lists(st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9]), min_size=count, max_size=count))
    return Objects(xyxy, np.array(classes, np.int64), np.array(scores, np.float64))


@settings(max_examples=100, deadline=None)
@given(objects(), objects(), st.sampled_from([0.5, 2.0]))
def test_the_same_object_is_found_as_a_plain_loop_finds_it(first: Objects, second: Objects, box_px: float) -> None:
    wanted, taken = set(), set()
    overlap = box_iou(first.xyxy, second.xyxy)
    for row in sorted(range(len(first.score)), key=lambda number: -first.score[number]):
        fitting = []
        for column in range(len(second.score)):
            alike = first.class_id[row] == second.class_id[column]
            near = max(abs(first.xyxy[row][side] - second.xyxy[column][side]) for side in range(4)) <= box_px
            if column not in taken and alike and (near or overlap[row, column] >= LEAST_IOU):
                fitting.append(column)
        best = max((overlap[row, column] for column in fitting), default=0)
        ties = [column for column in fitting if overlap[row, column] >= best - TIE_IOU]
        partner = min(ties, key=lambda column: abs(first.score[row] - second.score[column]), default=None)
        if partner is not None:
            taken.add(partner)
            wanted.add((row, partner))
    assert set(map(tuple, match_objects(first, second, box_px).same.tolist())) == wanted


@settings(max_examples=100, deadline=None)
@given(objects(), objects())
def test_nothing_is_in_two_pairs(first: Objects, second: Objects) -> None:
    matches = match_objects(first, second, 0.5)
    for number in (0, 1):
        rows = np.concatenate([matches.same[:, number], matches.moved[:, number], matches.renamed[:, number]])
        assert len(set(rows.tolist())) == len(rows)


@pytest.mark.parametrize(
    ("box", "class_id", "kind"),
    [((0, 0, 100, 96), 1, "same"), ((0, 0, 100, 60), 1, "moved"), ((0, 0, 100, 100), 2, "renamed")],
)
def test_an_object_is_the_same_or_moved_or_renamed(box: tuple[int, ...], class_id: int, kind: str) -> None:
    first = Objects(np.array([[0, 0, 100, 100.0]]), np.array([1]), np.array([0.9]))
    second = Objects(np.array([box], np.float64), np.array([class_id]), np.array([0.8]))
    matches = match_objects(first, second, 0.5)
    found = {name: len(getattr(matches, name)) for name in ("same", "moved", "renamed")}
    assert found == {"same": 0, "moved": 0, "renamed": 0, kind: 1}
