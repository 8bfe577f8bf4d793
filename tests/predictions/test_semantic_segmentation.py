from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult


def test_areas_count_pixels_largest_first_and_the_repr_says_what_fills_the_picture() -> None:
    ids = np.zeros((4, 5), np.int64)
    ids[:, 2:] = 2
    ids[3, 4] = 9
    regions = SemanticSegmentationResult(ids, np.full((4, 5), 0.93, np.float32), None, ["road", "sky", "car"])
    assert regions.areas() == regions.torch().areas() == [(2, 11), (0, 8), (9, 1)]
    assert repr(regions) == "SemanticSegmentationResult(4x5: car 55%, road 40%, class 9 5%)"


def late(**facts) -> tuple[SemanticSegmentationResult, list[int]]:
    """An answer whose confidence is 0.75, and a list that grows when that is computed."""
    calls: list[int] = []

    def confidence() -> np.ndarray:
        calls.append(1)
        return np.full((4, 5), 0.75, np.float32)

    return SemanticSegmentationResult.with_confidence_on_demand(np.zeros((4, 5), np.int64), confidence, **facts), calls


def test_a_confidence_on_demand_is_computed_once_and_only_when_it_is_read() -> None:
    regions, calls = late(class_names=["road"])
    assert repr(regions) == "SemanticSegmentationResult(4x5: road 100%)"
    moved = regions.torch().numpy()
    assert (calls, moved.class_names) == ([], ["road"])
    assert (regions.confidence == np.float32(0.75)).all()
    assert regions.confidence is regions.confidence
    assert calls == [1]
    assert moved == regions


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda regions: pickle.loads(pickle.dumps(regions)),
        lambda regions: SemanticSegmentationResult.from_json(regions.to_json()),
        dataclasses.replace,
    ],
    ids=["copy", "pickle", "JSON", "replace"],
)
def test_a_confidence_on_demand_goes_along(copied) -> None:
    regions, _ = late(class_names=["road"])
    again = copied(regions)
    assert again == regions
    assert again.confidence.dtype == np.float32


def test_what_an_answer_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="certainty"):
        late()[0].certainty
