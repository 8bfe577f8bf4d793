"""What `Detections` and `InstanceDetections` share: rows, labels, and the part of their JSON about boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.errors import InvalidParameterError
from inference_models.predictions.container import Prediction, check_head, head
from inference_models.predictions.indexing import entry, rows_of, single_row
from inference_models.predictions.labels import coordinates, known_name, name_or_number, short_list
from inference_models.predictions.matching import Objects
from inference_models.predictions.plain import (
    array_from_plain,
    array_to_plain,
    dtype_name,
    metadata_from_plain,
    metadata_to_plain,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Self

    from inference_models.arrays import Array
    from inference_models.predictions.comparison import Comparison
    from inference_models.predictions.indexing import Positions, RowIndex
    from inference_models.predictions.plain import Plain

_LISTED_IN_REPR = 3
_ARRAYS = {"xyxy": (0, 4), "class_id": (0,), "confidence": (0,)}
"""Array fields and their shapes when there is nothing."""
_OTHER_KEYS = ("class_names", "image_metadata", "bboxes_metadata", "dtypes")


class DetectedObject(NamedTuple):
    """One row of a detection: a tuple of seven with names."""

    xyxy: Array
    """(4,) x1 y1 x2 y2."""
    mask: Any
    """(H, W) bool, a COCO dictionary `{"size": [h, w], "counts": bytes}`, or None."""
    class_id: Any
    """A NumPy or torch scalar."""
    confidence: Any
    """A NumPy or torch scalar."""
    tracker_id: Any
    """`tracker_id` of the row's metadata, or None."""
    metadata: dict[str, Any]
    """The row's metadata; empty when there is none."""
    image_metadata: dict[str, Any]
    """Metadata of the whole image; empty when there is none."""


class BoxPrediction(Prediction):
    """Rows of boxes with class and confidence; the fields are those of the subclasses."""

    if TYPE_CHECKING:
        # Only annotations: the subclasses fix the order of the fields.
        xyxy: Array
        class_id: Array
        confidence: Array
        image_metadata: dict[str, Any] | None
        bboxes_metadata: list[dict[str, Any]] | None
        class_names: Sequence[str] | None

    def __len__(self) -> int:
        return len(self.xyxy)

    def __iter__(self) -> Iterator[DetectedObject]:
        for row in range(len(self)):
            yield self._row(row)

    @overload
    def __getitem__(self, index: int) -> DetectedObject: ...

    @overload
    def __getitem__(self, index: RowIndex) -> Self: ...

    def __getitem__(self, index: int | RowIndex) -> DetectedObject | Self:
        row = single_row(index, len(self))
        return self._rows(rows_of(index, len(self))) if row is None else self._row(row)

    def labels(self) -> list[str]:
        """One word per row: the name of the class, or `class 7` when no name is known."""
        return [
            name_or_number(int(class_id), self.class_names, entry(self.bboxes_metadata, row))
            for row, class_id in enumerate(self.class_id)
        ]

    def compare(self, other: Self, found: Comparison) -> None:
        """Add how far the boxes of `other`, their classes and scores are from these."""
        self._compare_boxes(other, found)

    def above(self, score: float) -> Self:
        """Only the objects whose confidence is higher."""
        return self._rows(rows_of(self.confidence > score, len(self)))

    def __repr__(self) -> str:
        listed = [self._describe(row) for row in range(min(len(self), _LISTED_IN_REPR))]
        return f"{type(self).__name__}({len(self)}{short_list(listed, total=len(self))})"

    def _row(self, row: int) -> DetectedObject:
        metadata = entry(self.bboxes_metadata, row)
        return DetectedObject(
            self.xyxy[row],
            self._mask_of(row),
            self.class_id[row],
            self.confidence[row],
            metadata.get("tracker_id"),
            metadata,
            self.image_metadata or {},
        )

    def _mask_of(self, row: int) -> Any:  # noqa: ARG002 - the rows of Detections have none
        return None

    def _rows(self, rows: Positions) -> Self:
        raise NotImplementedError

    def _compare_boxes(self, other: Self, found: Comparison) -> Array:
        """The (k, 2) row numbers of the same objects."""
        found.count_not_finite(self.xyxy, self.confidence, other.xyxy, other.confidence)
        same, known = found.match(*(Objects.of(item.xyxy, item.class_id, item.confidence) for item in (self, other)))
        found.widen("max_box_px", self.xyxy[known[:, 0]].astype(np.float64) - other.xyxy[known[:, 1]])
        return same

    def _describe(self, row: int) -> str:
        parts = []
        if self.class_id is not None:
            parts.append(name_or_number(int(self.class_id[row]), self.class_names, entry(self.bboxes_metadata, row)))
        if self.confidence is not None:
            parts.append(f"{float(self.confidence[row]):.2f}")
        return " ".join([*parts, coordinates(self.xyxy[row])])


def boxes_to_dict(boxes: BoxPrediction) -> dict[str, Plain]:
    """The dictionary of a box prediction, without masks."""
    return {
        **head(type(boxes)),
        "detections": _rows_to_plain(boxes),
        "class_names": None if boxes.class_names is None else list(boxes.class_names),
        "image_metadata": metadata_to_plain(boxes.image_metadata),
        "bboxes_metadata": metadata_to_plain(boxes.bboxes_metadata),
        "dtypes": {name: dtype_name(getattr(boxes, name)) for name in _ARRAYS},
    }


def boxes_from_dict(prediction: type[BoxPrediction], data: dict[str, Plain]) -> dict[str, Any]:
    """Values by field name for the constructor of `prediction`.

    Raises:
        InvalidParameterError: the dictionary was not made from `prediction`.
    """
    check_head(prediction, data, "detections", *_OTHER_KEYS)
    rows = data["detections"]
    arrays = {
        name: array_from_plain([row.get(name) for row in rows], data["dtypes"][name], empty=empty)
        for name, empty in _ARRAYS.items()
    }
    return {
        **arrays,
        "image_metadata": metadata_from_plain(data["image_metadata"]),
        "bboxes_metadata": metadata_from_plain(data["bboxes_metadata"]),
        "class_names": data["class_names"],
    }


def _rows_to_plain(boxes: BoxPrediction) -> list[dict[str, Plain]]:
    present = {name: getattr(boxes, name) for name in _ARRAYS if getattr(boxes, name) is not None}
    _check_lengths(boxes, {name: len(array) for name, array in present.items()})
    columns = {name: array_to_plain(array) for name, array in present.items()}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [_with_name(row, boxes, number) for number, row in enumerate(rows)]


def _with_name(row: dict[str, Plain], boxes: BoxPrediction, number: int) -> dict[str, Plain]:
    if "class_id" not in row:
        return row
    name = known_name(int(row["class_id"]), boxes.class_names, entry(boxes.bboxes_metadata, number))
    if name is None:
        return row
    return {
        key: value
        for column, values in row.items()
        for key, value in ((column, values), *((("class_name", name),) if column == "class_id" else ()))
    }


def _check_lengths(boxes: BoxPrediction, lengths: dict[str, int]) -> None:
    if boxes.bboxes_metadata:
        lengths["bboxes_metadata"] = len(boxes.bboxes_metadata)
    if len(set(lengths.values())) <= 1:
        return
    raise InvalidParameterError(
        f"this {type(boxes).__name__} has no rows to write: its fields differ in length.",
        needs="fields of one length",
        found=", ".join(f"{name} {length}" for name, length in lengths.items()),
        fix="give every field one entry per box",
    )


def columns(boxes: BoxPrediction) -> dict[str, Any]:
    """`xyxy`, `class_id` and `confidence` on the host, for libraries that take NumPy."""
    values = {name: getattr(boxes, name) for name in _ARRAYS}
    return {name: None if array is None else to_numpy(array) for name, array in values.items()}
