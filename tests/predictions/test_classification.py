from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

from inference_models.predictions.classification import ClassificationPrediction, MultiLabelClassificationPrediction
from optional import torch

NAMES = ["cat", "dog", "owl"]


def single(**changes: object) -> ClassificationPrediction:
    prediction = ClassificationPrediction(
        class_id=np.array([0, 2], np.int64),
        confidence=np.array([[0.93, 0.05, 0.02], [0.1, 0.1, 0.8]], np.float32),
        images_metadata=[{"page": 1}, {}],
        class_names=NAMES,
    )
    return replace(prediction, **changes)


def multi(**changes: object) -> MultiLabelClassificationPrediction:
    prediction = MultiLabelClassificationPrediction(
        class_ids=np.array([1, 2], np.int64),
        confidence=np.array([0.1, 0.7, 0.93], np.float32),
        image_metadata={"page": 1},
        class_names=NAMES,
    )
    return replace(prediction, **changes)


def test_the_fields_are_those_of_the_public_library_and_then_the_names() -> None:
    names = [item.name for item in fields(ClassificationPrediction)]
    assert names == ["class_id", "confidence", "images_metadata", "class_names"]
    names = [item.name for item in fields(MultiLabelClassificationPrediction)]
    assert names == ["class_ids", "confidence", "image_metadata", "class_names"]


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_the_best_classes_come_first(kind: str) -> None:
    top = getattr(single(class_names=NAMES[:2]), kind)().top(2)
    expected = [[("cat", 0.93), ("dog", 0.05)], [("class 2", 0.8), ("cat", 0.1)]]
    assert [[name for name, _ in image] for image in top] == [[name for name, _ in image] for image in expected]
    # float32 scores, as Python floats.
    np.testing.assert_allclose([[s for _, s in image] for image in top], [[0.93, 0.05], [0.8, 0.1]], rtol=1e-7)
    labels = getattr(multi(), kind)().labels()
    assert [name for name, _ in labels] == ["owl", "dog"]


def test_the_size_of_a_batch_is_its_length_and_an_image_without_labels_is_still_true() -> None:
    assert len(single()) == 2
    assert multi(class_ids=np.zeros(0, np.int64))


def test_repr_is_short() -> None:
    assert repr(single()) == "ClassificationPrediction(2: cat 0.93, owl 0.80)"
    assert repr(single(class_names=None)) == "ClassificationPrediction(2: class 0 0.93, class 2 0.80)"
    assert repr(multi().torch()) == "MultiLabelClassificationPrediction(2: owl 0.93, dog 0.70)"
    assert repr(multi(class_ids=np.zeros(0, np.int64))) == "MultiLabelClassificationPrediction(0)"


@pytest.mark.parametrize(
    "make",
    [
        single,
        lambda: single().torch(),
        lambda: single(images_metadata=None, class_names=None),
        lambda: single(class_id=np.zeros(0, np.int64), confidence=np.zeros((0, 3), np.float32)),
        multi,
        lambda: multi().torch(),
        lambda: multi(class_ids=np.zeros(0, np.int64), image_metadata=None),
    ],
)
def test_json_brings_everything_back(
    make: Callable[[], ClassificationPrediction | MultiLabelClassificationPrediction],
) -> None:
    prediction = make()
    back = type(prediction).from_json(prediction.to_json())
    assert back == prediction
    assert back.confidence.shape == tuple(prediction.confidence.shape)


def test_the_json_is_readable_and_stable() -> None:
    assert single(images_metadata=None).to_dict() == {
        "type": "ClassificationPrediction",
        "schema_version": 1,
        "images": [
            {"class_id": 0, "class_name": "cat", "confidence": [0.93, 0.05, 0.02]},
            {"class_id": 2, "class_name": "owl", "confidence": [0.1, 0.1, 0.8]},
        ],
        "class_names": NAMES,
        "images_metadata": None,
        "classes": 3,
        "dtypes": {"class_id": "int64", "confidence": "float32"},
    }
    assert multi().to_dict() == {
        "type": "MultiLabelClassificationPrediction",
        "schema_version": 1,
        "labels": [
            {"class_id": 1, "class_name": "dog", "confidence": 0.7},
            {"class_id": 2, "class_name": "owl", "confidence": 0.93},
        ],
        "confidence": [0.1, 0.7, 0.93],
        "class_names": NAMES,
        "image_metadata": {"page": 1},
        "dtypes": {"class_ids": "int64", "confidence": "float32"},
    }


def test_equality_looks_at_every_field() -> None:
    assert single() == single().torch()
    assert single() != single(confidence=single().confidence[::-1])
    assert multi() != multi(class_names=None)
    assert torch.equal(multi().torch().class_ids, torch.tensor([1, 2]))
