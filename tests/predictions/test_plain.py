from __future__ import annotations

import json

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_models.errors import InvalidParameterError
from inference_models.predictions.plain import (
    array_from_plain,
    array_to_plain,
    metadata_from_plain,
    metadata_to_plain,
    pack_array,
    same_value,
    unpack_array,
)

FLOATS = st.sampled_from([np.float16, np.float32, np.float64])
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)


def through_json(array: np.ndarray) -> np.ndarray:
    text = json.dumps(array_to_plain(array), allow_nan=False)
    return array_from_plain(json.loads(text), str(array.dtype), empty=array.shape)


def same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    nan = np.isnan(first)
    return np.array_equal(nan, np.isnan(second)) and first[~nan].tobytes() == second[~nan].tobytes()


@settings(max_examples=100, deadline=None)
@given(FLOATS.flatmap(lambda dtype: hnp.arrays(dtype, SHAPES)))
def test_floats_come_back_bit_for_bit(array: np.ndarray) -> None:
    assert same_bits(through_json(array), array)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.uint32, 50))
def test_every_pattern_of_32_bits_comes_back(bits: np.ndarray) -> None:
    array = bits.view(np.float32)
    assert same_bits(through_json(array), array)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "uint64"])
def test_whole_numbers_and_bools_come_back_exactly(dtype: str) -> None:
    limits = [0, 1] if dtype == "bool" else [np.iinfo(dtype).min, 0, np.iinfo(dtype).max]
    array = np.array(limits, dtype=dtype)
    assert through_json(array).tolist() == array.tolist()
    assert through_json(array).dtype == array.dtype


def test_float32_is_written_in_its_shortest_form() -> None:
    values = np.array([0.93, 1 / 3, 1e-45, 16777216, -0.0], np.float32)
    assert json.dumps(array_to_plain(values)) == "[0.93, 0.33333334, 1e-45, 16777216.0, -0.0]"


def test_json_has_no_nan_and_no_infinity() -> None:
    values = np.array([np.nan, np.inf, -np.inf], np.float32)
    assert array_to_plain(values) == [None, "Infinity", "-Infinity"]
    assert same_bits(through_json(values), values)


@pytest.mark.parametrize("array", [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((0, 4), np.int64)])
def test_a_packed_array_comes_back_and_can_be_written_to(array: np.ndarray) -> None:
    back = unpack_array(json.loads(json.dumps(pack_array(array))))
    assert same_value(back, array)
    back[...] = 1


def test_metadata_keeps_the_type_and_shape_of_arrays() -> None:
    torch = pytest.importorskip("torch")
    metadata = {
        "polygon": np.array([[1.5, 2], [3, 4]], np.float32),
        "none": np.zeros((0, 2), np.int32),
        "tensor": torch.tensor([1, 2]),
        "pair": (1, 2.5),
        "score": np.float32(0.1),
        3: {"deep": [None, True, "text"]},
    }
    back = metadata_from_plain(json.loads(json.dumps(metadata_to_plain(metadata))))
    assert same_value(back["polygon"], metadata["polygon"])
    assert same_value(back["none"], metadata["none"])
    assert same_value(back["tensor"], np.array([1, 2]))
    assert {key: back[key] for key in ("pair", "score", "3")} == {
        "pair": [1, 2.5],
        "score": 0.1,
        "3": {"deep": [None, True, "text"]},
    }


def test_metadata_without_a_json_form_is_refused() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        metadata_to_plain({"when": {1}})
    assert str(caught.value) == (
        "metadata value {1} has no JSON form.\n"
        "needs None, bool, number, text, list, tuple, dict or array; found: set\n"
        "convert it before it goes into the metadata"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros(2, np.float32), np.zeros(2, np.float64)),
        (np.zeros(2), np.zeros((1, 2))),
        (np.zeros(2), np.ones(2)),
        (np.zeros(2), [0.0, 0.0]),
        (np.zeros(2), None),
        ({"a": 1}, {"a": 1, "b": 2}),
        ([1], [1, 2]),
    ],
)
def test_values_that_differ_are_not_the_same(first: object, second: object) -> None:
    assert not same_value(first, second)
    assert not same_value(second, first)


def test_nan_is_the_same_as_nan() -> None:
    assert same_value(np.array([np.nan]), np.array([np.nan]))
