"""Instance masks as sums of prototypes: rows of boxes that end in M coefficients, and M maps that all of them share.

Layouts of ultralytics 8.4.190 (v8 and later), of the export scripts of YOLOv5 7.0 and YOLOv7: the first output of three
axes has the rows, the first of four the prototypes (B, M, h, w); others are not read.

| constant                   | rows                                          | score              |
|----------------------------|-----------------------------------------------|--------------------|
| `ANCHOR_FREE_PROTOTYPES`   | (B, 4 + C + M, N) as `boxes.ANCHOR_FREE`      | class              |
|                            | (B, K, 6 + M) as `boxes.FINAL`                | as given           |
| `ANCHOR_BASED_PROTOTYPES`  | (B, N, 5 + C + M) as `boxes.ANCHOR_BASED`     | objectness x class |

1. The boxes of the columns before the coefficients. 2. The coefficients of the rows they came from.
3. Logits of a mask = coefficients x prototypes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.decoders import boxes
from inference_models.decoders.layout import known, unexpected_outputs
from inference_models.decoders.masks import check_map_size, prototype_maps
from inference_models.decoders.types import InstanceDecoder
from inference_models.record import Record

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.decoders.masks import MaskMaps
    from inference_models.decoders.types import BoxDecoder, Boxes, BoxLimits, Frame, Outputs, Shapes

_FINAL = 6
"""Columns of a row that is a detection."""
_BEFORE_CLASSES = {1: 4, 2: 5}
"""Columns before the classes: a box, and objectness where rows come first."""


class _Prototypes(Record, frozen=True):
    raw: BoxDecoder
    axis: int
    """Of the columns in raw rows: 1 or 2."""
    final: BoxDecoder | None
    needs: str

    def decode(self, outputs: Outputs, frame: Frame, limits: BoxLimits) -> list[Boxes]:
        rows, prototypes = self._select(outputs)
        count = prototypes.shape[1]
        if self.final is not None and rows.shape[2] == _FINAL + count:
            return self.final.decode([rows[:, :, :_FINAL]], frame, limits)
        return self.raw.decode([rows[:, :-count, :] if self.axis == 1 else rows[:, :, :-count]], frame, limits)

    def maps(self, outputs: Outputs, found: Boxes) -> MaskMaps:
        """Of the boxes found in one image, whose outputs have a batch of 1."""
        rows, prototypes = self._select(outputs)
        count = prototypes.shape[1]
        if self.axis == 1 and rows.shape[2] != _FINAL + count:
            return prototype_maps(rows[0, -count:, :][:, found.anchor].T, prototypes[0])
        return prototype_maps(rows[0, :, -count:][found.anchor, :], prototypes[0])

    def count_classes(self, shapes: Shapes) -> int | None:
        if not known(shapes):
            return None
        rows, prototypes = self._shapes(shapes)
        count = prototypes[1]
        if count is None or (self.final is not None and rows[2] == _FINAL + count):
            return None
        columns = rows[self.axis]
        if columns is None:
            return None
        if columns - count <= _BEFORE_CLASSES[self.axis]:
            raise unexpected_outputs(f"{self.needs}, with at least one class", shapes)
        boxes_alone = (rows[0], columns - count, rows[2]) if self.axis == 1 else (rows[0], rows[1], columns - count)
        return self.raw.count_classes([boxes_alone])

    def check(self, shapes: Shapes, frame: Frame | None) -> None:
        """Refuse outputs without rows or prototypes, and prototypes of another size than the input's."""
        if known(shapes):
            check_map_size(self._shapes(shapes)[1], frame)

    def _select(self, outputs: Outputs) -> tuple[Array, Array]:
        rows, prototypes = self._places([tuple(output.shape) for output in outputs])
        return outputs[rows], outputs[prototypes]

    def _shapes(self, shapes: Shapes) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
        rows, prototypes = self._places(shapes)
        return shapes[rows], shapes[prototypes]

    def _places(self, shapes: Shapes) -> tuple[int, int]:
        ranks = [len(shape) for shape in shapes]
        if 3 not in ranks or 4 not in ranks:
            raise unexpected_outputs(self.needs, shapes)
        return ranks.index(3), ranks.index(4)


_FREE = _Prototypes(
    boxes.ANCHOR_FREE,
    1,
    boxes.FINAL,
    "rows (B, 4 + C + M, N), or (B, K, 6 + M) with the suppression inside, and prototypes (B, M, h, w)",
)
ANCHOR_FREE_PROTOTYPES = InstanceDecoder(_FREE.decode, _FREE.count_classes, maps=_FREE.maps, check=_FREE.check)
"""YOLOv8 and its successors, whichever head or suppression was exported."""

_BASED = _Prototypes(boxes.ANCHOR_BASED, 2, None, "rows (B, N, 5 + C + M) and prototypes (B, M, h, w)")
ANCHOR_BASED_PROTOTYPES = InstanceDecoder(_BASED.decode, _BASED.count_classes, maps=_BASED.maps, check=_BASED.check)
"""YOLOv5 and YOLOv7."""
