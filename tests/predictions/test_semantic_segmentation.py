from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult


def example() -> SemanticSegmentationResult:
    ids = np.zeros((4, 5), np.int64)
    ids[:, 2:] = 2
    ids[3, 4] = 9
    return SemanticSegmentationResult(ids, np.full((4, 5), 0.93, np.float32), {"page": 1}, ["road", "sky", "car"])


def test_areas_count_pixels_largest_first() -> None:
    assert example().areas() == example().torch().areas() == [(2, 11), (0, 8), (9, 1)]


def test_repr_says_what_fills_the_picture() -> None:
    assert repr(example()) == "SemanticSegmentationResult(4x5: car 55%, road 40%, class 9 5%)"


def test_json_brings_everything_back() -> None:
    for result in (example(), example().torch()):
        back = SemanticSegmentationResult.from_json(result.to_json())
        assert back == example()
        back.confidence[0, 0] = 0


def test_the_map_is_written_as_runs() -> None:
    data = example().to_dict()
    assert data["classes"][0] == {"class_id": 2, "class_name": "car", "pixels": 11}
    assert data["segmentation_map"] == {
        "size": [4, 5],
        "dtype": "int64",
        "class_ids": [0, 2, 0, 2, 0, 2, 0, 2, 9],
        "runs": [2, 3, 2, 3, 2, 3, 2, 2, 1],
    }


@settings(max_examples=50, deadline=None)
@given(
    st.tuples(st.integers(0, 6), st.integers(0, 6)).flatmap(
        lambda size: st.tuples(
            hnp.arrays(st.sampled_from([np.int64, np.uint8]), size, elements=st.integers(0, 3)),
            hnp.arrays(np.float32, size),
        )
    )
)
def test_any_result_survives_json(arrays: tuple[np.ndarray, np.ndarray]) -> None:
    result = SemanticSegmentationResult(*arrays)
    assert SemanticSegmentationResult.from_json(result.to_json()) == result
