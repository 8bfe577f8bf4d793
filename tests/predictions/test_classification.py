from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inference_models.predictions.classification import ClassificationPrediction, MultiLabelClassificationPrediction

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
