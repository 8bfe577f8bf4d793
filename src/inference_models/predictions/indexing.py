"""Rows of arrays and lists by NumPy-like indices."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from inference_models.arrays import is_torch, to_numpy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.arrays import Array

Positions = npt.NDArray[np.int64]
RowIndex: TypeAlias = "slice | Sequence[int] | Sequence[bool] | Array"
"""What selects several rows: a slice, whole numbers, or one bool per row."""
Item = TypeVar("Item")


def single_row(index: object, length: int) -> int | None:
    """The row from 0 that one whole number selects (negative ones count from the end); None for other indices.

    Raises:
        IndexError: there is no such row.
    """
    scalar_array = getattr(index, "ndim", 0) == 0
    if isinstance(index, slice) or not scalar_array or not isinstance(index, SupportsIndex):
        return None
    row = operator.index(index)
    if not -length <= row < length:
        raise IndexError(f"row {row} of {length}")
    return row % length


def rows_of(index: RowIndex, length: int) -> Positions:
    """Row numbers that `index` selects, in its order.

    Raises:
        IndexError: a row does not exist, the bools are not one per row, or the index has another form.
    """
    rows = np.arange(length)
    if isinstance(index, slice):
        # torch takes no array that runs backwards.
        return np.ascontiguousarray(rows[index])
    wanted = to_numpy(index)
    if wanted.ndim != 1 or wanted.dtype.kind not in "bui":
        if wanted.size or wanted.ndim != 1:
            raise IndexError(f"rows are selected by a slice, whole numbers or bools, not by {index!r}")
        wanted = wanted.astype(np.int64)
    return rows[wanted]


def take(array: Array | None, rows: Positions) -> Array | None:
    """A copy of the rows of an array of either kind, or None where there is none."""
    if array is None:
        return None
    if is_torch(array):
        import torch  # noqa: PLC0415

        return array[torch.from_numpy(rows).to(array.device)]
    return array[rows]


def take_list(values: list[Item] | None, rows: Positions) -> list[Item] | None:
    """The entries of a list that goes with the rows, or None where there is none."""
    return None if values is None else [values[row] for row in rows]


def entry(values: list[dict[str, Any]] | None, row: int) -> dict[str, Any]:
    """Metadata of one row, or an empty dictionary."""
    return (values[row] if values else None) or {}
