"""Key points of RF-DETR's queries, against what its own post-processing made of the same outputs (see tools/)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_models.decoders.query_points import QUERY_POINTS
from inference_models.decoders.types import BoxLimits, KeyPointHead
from inference_models.errors import CorruptedModelPackageError
from optional import torch

RECORDED = json.loads((Path(__file__).parent / "recorded" / "query_points.json").read_text())
HEAD = KeyPointHead(tuple(RECORDED["counts"]))
HEIGHT, WIDTH = RECORDED["size"]
OUTPUTS = [np.array(RECORDED["outputs"][f"pred_{name}"], np.float32) for name in ("boxes", "logits", "keypoints")]
ALL = BoxLimits(0.0, 0.5, 1000)


def expected() -> dict[str, np.ndarray]:
    """Rows of the classes that have a name, best first."""
    found = {name: np.array(values, np.float64) for name, values in RECORDED["found"].items()}
    rows = np.flatnonzero(found["labels"] < HEAD.classes)
    rows = rows[np.argsort(-found["scores"][rows], kind="stable")]
    return {name: values[rows] for name, values in found.items()}


def decode(outputs: list[Any] = OUTPUTS, limits: BoxLimits = ALL, head: KeyPointHead = HEAD) -> Any:
    (found,) = QUERY_POINTS.decode(outputs, (HEIGHT, WIDTH), limits, head)
    return found


def test_scores_classes_boxes_and_points_are_those_of_the_original_project() -> None:
    found, wanted = decode(), expected()
    np.testing.assert_allclose(found.boxes.confidence, wanted["scores"], atol=1e-5)
    np.testing.assert_array_equal(found.boxes.class_id, wanted["labels"])
    inside = np.clip(found.boxes.xyxy, 0, [WIDTH, HEIGHT] * 2)
    np.testing.assert_allclose(inside, wanted["boxes"], atol=1e-3)
    for row, class_id in enumerate(found.boxes.class_id):
        count = HEAD.counts[class_id]
        np.testing.assert_allclose(found.xy[row, :count], wanted["keypoints"][row, :count, :2], atol=1e-3)
        np.testing.assert_allclose(found.confidence[row, :count], wanted["keypoints"][row, :count, 2], atol=1e-5)


def test_the_covariance_is_the_inverse_of_the_precision_in_square_pixels() -> None:
    found, wanted = decode(), expected()["keypoint_precision_cholesky"]
    scale = np.diag([WIDTH, HEIGHT])
    for row, class_id in enumerate(found.boxes.class_id):
        for slot in range(HEAD.counts[class_id]):
            log1, low, log2 = wanted[row, slot]
            lower = np.array([[np.exp(log1), 0], [low, np.exp(log2)]])
            covariance = scale @ np.linalg.inv(lower @ lower.T) @ scale
            np.testing.assert_allclose(found.covariance[row, slot], covariance, rtol=1e-3, atol=1e-2)


def test_only_what_is_above_the_threshold_of_its_class_is_found_best_first() -> None:
    everything = decode()
    limits = BoxLimits(np.array([0.6, 2.0, 0.3], np.float32), 0.5, 3)
    found = decode(limits=limits)
    score, class_id = everything.boxes.confidence, everything.boxes.class_id
    above = np.flatnonzero(score > np.array([0.6, 2.0, 0.3])[class_id])[:3]
    np.testing.assert_array_equal(found.boxes.confidence, score[above])
    np.testing.assert_array_equal(found.xy, everything.xy[above])


def test_outputs_may_come_in_any_order_and_as_tensors() -> None:
    wanted = decode()
    decoder = QUERY_POINTS.named(["keypoints", "dets", "labels"])
    outputs = [torch.from_numpy(OUTPUTS[place]) for place in (2, 0, 1)]
    (turned,) = decoder.decode(outputs, (HEIGHT, WIDTH), ALL, HEAD)
    assert isinstance(turned.xy, torch.Tensor)
    np.testing.assert_allclose(turned.boxes.confidence, wanted.boxes.confidence, atol=1e-6)
    np.testing.assert_allclose(turned.xy, wanted.xy, atol=1e-3)


@pytest.mark.parametrize(
    ("shapes", "counts"),
    [
        ([(1, 100, 4), (1, 100, 91)], (17,)),
        ([(1, 100, 4), (1, 100, 91), (1, 100, 17, 8)], (17, 17)),
        ([(1, 100, 4), (1, 100, 91), (1, 100, 17, 8)], (5,)),
        ([(1, 100, 4), (1, 100, 1), (1, 100, 34, 8)], (17, 17)),
        ([(1, 100, 4), (1, 100, 91), (1, 100, 78, 78)], (17,)),
    ],
)
def test_a_graph_with_other_classes_or_points_is_refused_with_both_values(shapes: Any, counts: Any) -> None:
    QUERY_POINTS.check([(1, 100, 4), (1, 100, 91), (1, 100, 17, 8)], KeyPointHead((17,)))
    with pytest.raises(CorruptedModelPackageError) as caught:
        QUERY_POINTS.check(shapes, KeyPointHead(counts))
    assert f"{len(counts)} classes, {max(counts)} key points each" in caught.value.needs
    assert str(shapes[-1]) in caught.value.found
