from __future__ import annotations

import numpy as np
import pytest

from inference_models.predictions.rows import rows_of, single_row, take
from optional import torch


@pytest.mark.parametrize(
    "index",
    [
        slice(None),
        slice(1, 3),
        slice(None, None, -2),
        [3, 0, 0],
        [],
        [True, False, True, False],
        np.array([-1, 1]),
        np.array([], dtype=np.int64),
        np.array([False] * 4),
        torch.tensor([2, -4]),
        torch.tensor([True, True, False, False]),
    ],
    ids=str,
)
def test_rows_are_those_numpy_gives(index: object) -> None:
    values = np.arange(4) * 10
    host = index.numpy() if isinstance(index, torch.Tensor) else index
    expected = values[np.asarray(host, dtype=np.int64) if isinstance(host, list) and not host else host]
    rows = rows_of(index, 4)
    assert values[rows].tolist() == expected.tolist()
    assert take(torch.from_numpy(values), rows).tolist() == expected.tolist()


@pytest.mark.parametrize("index", [2, -2, np.int64(2), np.array(2)], ids=repr)
def test_one_whole_number_is_one_row(index: object) -> None:
    assert single_row(index, 4) == 2


def test_a_torch_number_is_one_row_and_a_torch_list_is_not() -> None:
    assert single_row(torch.tensor(2), 4) == 2
    assert single_row(torch.tensor([1]), 4) is None


@pytest.mark.parametrize("index", [slice(1), [1], np.array([1]), "1", 1.0], ids=repr)
def test_everything_else_is_not_one_row(index: object) -> None:
    assert single_row(index, 4) is None


@pytest.mark.parametrize("index", [4, -5])
def test_a_row_that_does_not_exist_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError, match=f"^row {index} of 4$"):
        single_row(index, 4)


@pytest.mark.parametrize("index", [[4], [True], np.zeros((2, 2), bool), [0.5], "ab", np.array([[1]])], ids=repr)
def test_an_index_of_another_form_is_an_index_error(index: object) -> None:
    with pytest.raises(IndexError):
        rows_of(index, 4)


def test_taken_rows_are_copies() -> None:
    values = np.arange(4)
    take(values, rows_of(slice(None), 4))[:] = 9
    assert values.tolist() == [0, 1, 2, 3]
