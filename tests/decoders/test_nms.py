from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.independent_nms import greedy_loop
from inference_models.decoders.nms import nms
from optional import torch

SPECIAL = st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38])
COORDINATE = st.integers(0, 8).map(float) | st.floats(-20, 20, width=32) | SPECIAL
SCORE = st.sampled_from([0.25, 0.5, 0.75]) | st.floats(0, 1, width=32) | st.just(np.nan)
ROWS = st.lists(st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE, SCORE, st.integers(0, 2)), max_size=40)
IOU = st.sampled_from([0.0, 0.25, 0.3, 0.5, 1.0]) | st.floats(0, 1, width=32)


def arrays_of(rows):
    table = np.array([row[:5] for row in rows], np.float32).reshape(-1, 5)
    return table[:, :4], table[:, 4], np.array([row[5] for row in rows], np.int64)


def random_boxes(count, *, spread=300, size=60, seed=0):
    rng = np.random.default_rng(seed)
    corner = rng.random((count, 2), dtype=np.float32) * spread
    return np.concatenate([corner, corner + rng.random((count, 2), dtype=np.float32) * size], axis=1)


@settings(max_examples=100, deadline=None)
@given(rows=ROWS, iou=IOU, limit=st.integers(0, 12), agnostic=st.booleans())
def test_any_input_gives_exactly_what_the_plain_loop_gives(rows, iou, limit, agnostic):
    boxes, scores, classes = arrays_of(rows)
    kept = nms(boxes, scores, classes, iou=iou, max_detections=limit, class_agnostic=agnostic)
    assert kept.dtype == np.int64
    assert kept.tolist() == greedy_loop(boxes, scores, classes, iou, limit, agnostic)


@pytest.mark.parametrize(("classes", "limit"), [(1, 300), (3, 300), (3, 40), (80, 300)])
def test_several_blocks_give_exactly_what_the_plain_loop_gives(classes, limit):
    boxes = random_boxes(900)
    rng = np.random.default_rng(1)
    scores, ids = rng.integers(0, 50, 900).astype(np.float32) / 50, rng.integers(0, classes, 900)
    kept = nms(boxes, scores, ids, iou=0.3, max_detections=limit)
    assert kept.tolist() == greedy_loop(boxes, scores, ids, 0.3, limit)


def test_more_kept_boxes_than_one_chunk_give_exactly_what_the_plain_loop_gives():
    boxes = random_boxes(700, spread=4000, size=60)
    scores = np.random.default_rng(2).random(700).astype(np.float32)
    kept = nms(boxes, scores, np.zeros(700, int), iou=0.0, max_detections=2000)
    assert 600 < len(kept) < 700
    assert kept.tolist() == greedy_loop(boxes, scores, np.zeros(700, int), 0.0, 2000)


def test_an_overlap_equal_to_the_threshold_is_kept_and_the_next_float_is_not():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5]], np.float32)  # intersection 50, union 100
    scores, ids = np.array([0.9, 0.8], np.float32), np.zeros(2, int)
    assert nms(boxes, scores, ids, iou=0.5, max_detections=9).tolist() == [0, 1]
    below = float(np.nextafter(np.float32(0.5), np.float32(0)))
    assert nms(boxes, scores, ids, iou=below, max_detections=9).tolist() == [0]


def test_equal_scores_are_taken_by_row():
    boxes = np.tile(np.array([[0, 0, 10, 10]], np.float32), (5, 1))
    assert nms(boxes, np.full(5, 0.5, np.float32), np.zeros(5, int), iou=0.5, max_detections=9).tolist() == [0]


def test_only_the_best_candidates_take_part():
    boxes = random_boxes(50, spread=5000, size=5)
    scores = np.random.default_rng(3).random(50).astype(np.float32)
    kept = nms(boxes, scores, np.zeros(50, int), iou=0.5, max_detections=99, pre_nms_top_k=7)
    assert kept.tolist() == np.argsort(-scores)[:7].tolist()


def test_torch_tensors_give_torch_indices():
    boxes = random_boxes(200)
    scores, ids = np.random.default_rng(4).random(200).astype(np.float32), np.arange(200) % 3
    kept = nms(*map(torch.from_numpy, (boxes, scores, ids)), iou=0.3, max_detections=20)
    assert isinstance(kept, torch.Tensor)
    assert kept.dtype == torch.int64
    assert kept.tolist() == nms(boxes, scores, ids, iou=0.3, max_detections=20).tolist()


def hostile(kind):
    count = 30_000
    grid = np.stack(np.meshgrid(np.arange(200), np.arange(150)), axis=-1).reshape(-1, 2).astype(np.float32)
    if kind == "overlapping":
        return np.concatenate([grid / 1000, grid / 1000 + 50], axis=1)
    if kind == "disjoint":
        return np.concatenate([grid * 10, grid * 10 + 5], axis=1)
    left = np.arange(count, dtype=np.float32) * 4
    return np.stack([left, left * 0, left + 10, left * 0 + 10], axis=1)


@pytest.mark.parametrize(
    ("kind", "limit", "kept"),
    [("overlapping", 300, 1), ("disjoint", 300, 300), ("disjoint", 10_000, 10_000), ("chained", 10_000, 10_000)],
)
def test_hostile_boxes_take_bounded_time(kind, limit, kept):
    boxes = hostile(kind)
    scores = np.linspace(1, 0.5, len(boxes), dtype=np.float32)
    start = time.process_time()
    found = nms(boxes, scores, np.zeros(len(boxes), int), iou=0.3, max_detections=limit)
    assert len(found) == kept
    # Measured 0.01 to 0.4 s; a pairwise matrix of all boxes would take 3.6 GB and many seconds.
    assert time.process_time() - start < 5
