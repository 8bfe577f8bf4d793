from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inference_models.predictions.key_points import KeyPoints
from optional import torch


def example(**changes: object) -> KeyPoints:
    covariance = np.tile(np.array([[4, 1], [1, 9]], np.float32), (2, 3, 1, 1))
    covariance[1, 2] = np.nan
    key_points = KeyPoints(
        xy=np.array([[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 10.5], [0, 0]]], np.float32),
        class_id=np.array([0, 1], np.int32),
        confidence=np.array([[0.9, 0.8, 0.7], [0.6, 0.5, 0]], np.float32),
        image_metadata={"page": 1},
        key_points_metadata=[{"side": "left"}, {}],
        covariance=covariance,
        detection_confidence=np.array([0.93, 0.5], np.float32),
        class_names=["person"],
    )
    return replace(key_points, **changes)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_iteration_and_numbers_give_one_object(kind: str) -> None:
    key_points = getattr(example(), kind)()
    assert len(key_points) == len(list(key_points)) == 2
    item = key_points[1]
    assert isinstance(item.class_id, torch.Tensor if kind == "torch" else np.generic)
    assert item.xy.tolist() == [[7, 8], [9, 10.5], [0, 0]]
    assert (int(item.class_id), float(item.detection_confidence), item.metadata) == (1, 0.5, {})
    assert item.image_metadata == {"page": 1}
    assert next(iter(example(detection_confidence=None, key_points_metadata=None))).detection_confidence is None


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_every_field_follows_the_rows(kind: str) -> None:
    chosen = getattr(example(), kind)()[::-1].numpy()
    reversed_fields = {
        name: getattr(example(), name)[::-1]
        for name in ("xy", "class_id", "confidence", "key_points_metadata", "covariance", "detection_confidence")
    }
    assert chosen == example(**reversed_fields)
    assert chosen != example()


def test_repr_counts_the_points_that_were_found() -> None:
    assert repr(example()) == "KeyPoints(2: person 3/3 points, class 1 2/3 points)"
