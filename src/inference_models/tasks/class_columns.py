"""Which class each column of an output stands for, where there are columns that stand for none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.class_names import NAMES_FIX, known_class_names
from inference_models.record import Record, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.decoders.types import Boxes, BoxLimits

COCO_COLUMNS = 91
_NO_COCO_CLASS = frozenset({0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
"""Category numbers of COCO, from 0 to 90, that its 80 classes leave out."""
_COCO_PLACES = [place for place in range(COCO_COLUMNS) if place not in _NO_COCO_CLASS]


class ClassColumns(Record, frozen=True):
    """The classes of a model, and the number of each in its outputs."""

    names: tuple[str, ...]
    """Name of class 0, 1, ..."""
    ids: tuple[int, ...]
    """Class of each column; -1: none."""

    @property
    def removes(self) -> bool:
        """Whether a column is not the class of its own number."""
        return self.ids != tuple(range(len(self.names)))

    @classmethod
    def of(cls, columns: int, names: Sequence[str], removed: Sequence[str], *, label: str) -> ClassColumns:
        """Columns are in the order of the names, with at most one behind them; those of COCO are its category numbers.

        Args:
            columns: How many there are.
            names: Of the classes, the removed ones included.
            removed: Names whose columns count for nothing; the classes behind them move up.
            label: The model in the text of the error.

        Raises:
            CorruptedModelPackageError: there are too few or too many columns; with both numbers.
        """
        places = list(range(len(names)))
        if columns == COCO_COLUMNS and tuple(names) == known_class_names("coco"):
            places = _COCO_PLACES
        elif columns - len(names) not in {0, 1}:
            raise CorruptedModelPackageError(
                f"{label}: there are {len(names)} class names, but the outputs have {columns} columns of classes.",
                needs=f"{columns} names, or {columns - 1} where the last column is no class",
                found=str(len(names)),
                fix=NAMES_FIX,
            )
        kept = [(name, place) for name, place in zip(names, places, strict=True) if name not in removed]
        numbers = {place: number for number, (_, place) in enumerate(kept)}
        return cls(tuple(name for name, _ in kept), tuple(numbers.get(place, -1) for place in range(columns)))

    @classmethod
    def from_one(cls, names: Sequence[str]) -> ClassColumns:
        """The first class is number 1; those of COCO are its category numbers."""
        places = _COCO_PLACES if tuple(names) == known_class_names("coco") else range(1, len(names) + 1)
        numbers = {place: number for number, place in enumerate(places)}
        return cls(tuple(names), tuple(numbers.get(place, -1) for place in range(max(places, default=0) + 1)))

    def limits(self, limits: BoxLimits) -> BoxLimits:
        """`limits`, which are one or per class, with a threshold for each column; what is no class never passes."""
        import numpy as np  # noqa: PLC0415 - this module is imported before there is anything to compute

        ids = np.array(self.ids)
        per_class = np.broadcast_to(np.asarray(limits.confidence, np.float32), len(self.names))
        return replace(limits, confidence=np.where(ids >= 0, per_class[ids], np.float32(np.inf)))

    def renumbered(self, boxes: Boxes) -> Boxes:
        """`boxes` with classes in place of columns."""
        from inference_models.arrays import device_of, namespace  # noqa: PLC0415

        xp = namespace(boxes.class_id)
        table = xp.asarray(list(self.ids), dtype=xp.int32, device=device_of(boxes.class_id))
        return replace(boxes, class_id=table[boxes.class_id])
