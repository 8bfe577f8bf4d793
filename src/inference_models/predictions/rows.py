"""Predictions of many objects: one entry per object in every field, indexed like NumPy, one dictionary each in JSON."""

from __future__ import annotations

import operator
from abc import abstractmethod
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, SupportsIndex, TypeAlias, TypeVar, overload

import numpy as np

from inference_models.arrays import is_torch, to_numpy
from inference_models.errors import InvalidParameterError
from inference_models.predictions.container import Prediction
from inference_models.predictions.labels import known_name, name_or_number, short_list
from inference_models.predictions.plain import array_from_plain, array_to_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt
    from typing_extensions import Self

    from inference_models.arrays import Array
    from inference_models.predictions.plain import Plain

Positions: TypeAlias = "npt.NDArray[np.int64]"
RowIndex: TypeAlias = "slice | Sequence[int] | Sequence[bool] | Array"
"""What selects several rows: a slice, whole numbers, or one bool per row."""
Row = TypeVar("Row")
CLASS_NAME = "class_name"
"""In JSON, the name of the class of a row; left out when unknown."""
LISTED_IN_REPR = 3


class RowPrediction(Prediction, Generic[Row]):
    """As long as the objects it holds; the fields are those of the subclasses, of which the first is always there."""

    ROWS: ClassVar[str]
    """The key of its rows in JSON."""
    COLUMNS: ClassVar[tuple[str, ...]]
    """Array fields in the order in which JSON has them in a row, and `class_name`."""
    ROW_METADATA: ClassVar[str]
    """The field with facts about each object."""
    class_id: Array
    class_names: Sequence[str] | None

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def __iter__(self) -> Iterator[Row]:
        for row in range(len(self)):
            yield self._row(row)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: RowIndex) -> Self: ...

    def __getitem__(self, index: int | RowIndex) -> Row | Self:
        row = single_row(index, len(self))
        return self._rows(rows_of(index, len(self))) if row is None else self._row(row)

    def __repr__(self) -> str:
        listed = [self._describe(row) for row in range(min(len(self), LISTED_IN_REPR))]
        return f"{type(self).__name__}({len(self)}{short_list(listed, total=len(self))})"

    @abstractmethod
    def _row(self, row: int) -> Row:
        """One object."""

    @abstractmethod
    def _describe(self, row: int) -> str:
        """One object in a few words."""

    def _to_plain(self) -> dict[str, Plain]:
        return {self.ROWS: rows_to_plain(self, self.COLUMNS, self.ROW_METADATA)}

    @classmethod
    def _from_plain(cls, data: dict[str, Plain]) -> dict[str, Any]:
        return rows_from_plain(data[cls.ROWS], data["dtypes"], cls._shapes(data))

    @classmethod
    def _usual(cls, data: dict[str, Plain]) -> dict[str, Plain]:
        rows: list[dict[str, Plain]] = data[cls.ROWS]
        absent = {name for name in cls.ARRAYS if rows and all(row.get(name) is None for row in rows)}
        types = {name: "int32" if name == "class_id" else "float32" for name in cls.ARRAYS}
        found = {row["class_id"]: row[CLASS_NAME] for row in rows if CLASS_NAME in row}
        names = [found.get(number, f"class {number}") for number in range(max(found, default=-1) + 1)]
        return {"dtypes": {**types, **dict.fromkeys(absent)}, "class_names": names or None}

    @classmethod
    @abstractmethod
    def _shapes(cls, data: dict[str, Plain]) -> dict[str, tuple[int, ...]]:
        """Of the array fields, when there is no row."""

    def _rows(self, rows: Positions) -> Self:
        names = {*self.COLUMNS, self.ROW_METADATA, "mask"} & {item.name for item in fields(self)}
        return replace(self, **{name: take(getattr(self, name), rows) for name in names})

    def _metadata_of(self, row: int) -> dict[str, Any]:
        values: list[dict[str, Any]] | None = getattr(self, self.ROW_METADATA)
        return (values[row] if values else None) or {}

    def _names(self) -> list[str] | None:
        """What `_label` says of each row; None where no names are known."""
        known = self.class_names is not None and self.class_id is not None
        return [self._label(row) for row in range(len(self))] if known else None

    def _label(self, row: int) -> str:
        """The name of the class, or `class 7` when no name is known."""
        return name_or_number(int(self.class_id[row]), self.class_names, self._metadata_of(row))


def rows_to_plain(prediction: Any, columns: Sequence[str], metadata: str | None = None) -> list[dict[str, Plain]]:
    """One dictionary per row of the array fields in `columns`; in the place of `class_name`, the name of its class.

    Raises:
        InvalidParameterError: the fields, of which `metadata` is one with facts about each row, differ in length.
    """
    arrays = {name: getattr(prediction, name) for name in columns if name != CLASS_NAME}
    values: dict[str, Any] = {name: array_to_plain(array) for name, array in arrays.items() if array is not None}
    facts = (getattr(prediction, metadata) if metadata else None) or []
    _check_lengths(type(prediction).__name__, {**values, **({str(metadata): facts} if facts else {})})
    ids = values.get("class_id", [])
    names = [known_name(number, prediction.class_names, facts[row] if facts else {}) for row, number in enumerate(ids)]
    values[CLASS_NAME] = names or [None] * len(next(iter(values.values())))
    present = [name for name in columns if name in values]
    return [
        {name: value for name, value in zip(present, row, strict=True) if name != CLASS_NAME or value is not None}
        for row in zip(*(values[name] for name in present), strict=True)
    ]


def rows_from_plain(
    rows: Sequence[Mapping[str, Plain]], dtypes: Mapping[str, str | None], shapes: Mapping[str, Sequence[int]]
) -> dict[str, Any]:
    """Arrays by field name; `shapes` are those of the fields when there is no row."""
    return {
        name: array_from_plain([row.get(name) for row in rows], dtypes[name], empty=shape)
        for name, shape in shapes.items()
    }


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


def take(values: Any, rows: Positions) -> Any:
    """A copy of the rows of an array of either kind, or of a list; None where there is none."""
    if values is None:
        return None
    if isinstance(values, list):
        return [values[row] for row in rows]
    if is_torch(values):
        import torch  # noqa: PLC0415

        return values[torch.from_numpy(rows).to(values.device)]
    return values[rows]


def _check_lengths(kind: str, columns: Mapping[str, Sequence[Any]]) -> None:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) <= 1:
        return
    raise InvalidParameterError(
        f"this {kind} has no rows to write: its fields differ in length.",
        needs="fields of one length",
        found=", ".join(f"{name} {length}" for name, length in lengths.items()),
        fix="give every field one entry per object",
    )
