"""Layouts of box outputs. Sizes in network pixels; B images, N anchors, C classes, M final rows.

| constant            | outputs                                       | score                      | passes       |
|---------------------|-----------------------------------------------|----------------------------|--------------|
| `ANCHOR_FREE`       | (B, 4 + C, N) cx cy w h, classes              | class                      | > threshold  |
| `ANCHOR_BASED`      | (B, N, 5 + C) cx cy w h, objectness, classes  | objectness x class         | > threshold  |
| `BOXES_AND_SCORES`  | (B, N, 4) x1 y1 x2 y2; (B, N, C)              | class                      | > threshold  |
| `OBJECTNESS_LOGITS` | (B, N, 4) x1 y1 x2 y2; (B, N, 1); (B, N, C)   | sigmoid(obj) sigmoid(class)| > threshold  |
| `FINAL`             | (B, M, 6) x1 y1 x2 y2, score, class           | as given                   | >= threshold |
| `FINAL_STRICT`      | the same                                      | as given                   | > threshold  |
| `FINAL_OR_RAW`      | that of `FINAL`, else that of `ANCHOR_FREE`   |                            |              |
| `..._STRICT_OR_RAW` | that of `FINAL_STRICT`, else of `ANCHOR_FREE` |                            |              |

Steps: 1. best class of every anchor; 2. anchors above the lowest threshold; 3. boxes of those to x1 y1 x2 y2;
4. threshold of the anchor's class; 5. non-maximum suppression. Rows of `FINAL` hold step 5 in the graph.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from inference_models.arrays import namespace
from inference_models.decoders.candidates import (
    Candidates,
    best_rows,
    corners,
    lowest_threshold,
    passing,
    sigmoid,
    suppress,
    threshold_of,
)
from inference_models.decoders.layout import Layout
from inference_models.decoders.types import BoxDecoder
from inference_models.record import Record, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inference_models.arrays import Array
    from inference_models.decoders.types import Boxes, BoxLimits, Frame, Outputs, Shapes

    ToCorners = Callable[[Array, Array], Array]


def _anchor_free(image: tuple[Array, ...], limits: BoxLimits) -> Candidates:
    (columns,) = image
    xp = namespace(columns)
    score = xp.astype(xp.max(columns[4:, :], axis=0), xp.float32)
    anchor = passing(score, limits)
    if anchor.shape[0] < score.shape[0]:
        columns = xp.take(columns, anchor, axis=1)
    box = xp.astype(columns[:4, :], xp.float32)
    return Candidates(
        anchor=anchor,
        score=score[anchor],
        class_id=xp.argmax(columns[4:, :], axis=0),
        xyxy=corners(box[0, :], box[1, :], box[2, :], box[3, :]),
    )


def _anchor_based(image: tuple[Array, ...], limits: BoxLimits) -> Candidates:
    return with_objectness(image[0], limits, _centred)


def with_objectness(rows: Array, limits: BoxLimits, to_corners: ToCorners) -> Candidates:
    """Candidates of one image with rows (N, 5 + C): box, objectness, class probabilities.

    `to_corners(box, anchor)` turns (k, 4) float32 of the rows in `anchor` (k,) into x1 y1 x2 y2.
    """
    xp = namespace(rows)
    # A class probability is at most 1, so objectness alone rules most anchors out before a class is read.
    anchor = passing(xp.astype(rows[:, 4], xp.float32), limits)
    rows = xp.astype(rows[anchor, :], xp.float32)
    score = rows[:, 4] * xp.max(rows[:, 5:], axis=1)
    kept = passing(score, limits)
    rows, anchor = rows[kept, :], anchor[kept]
    class_id = xp.argmax(rows[:, 5:], axis=1)
    return Candidates(anchor, score[kept], class_id, to_corners(rows[:, :4], anchor))


def _centred(box: Array, _anchor: Array) -> Array:
    return corners(box[:, 0], box[:, 1], box[:, 2], box[:, 3])


def _boxes_and_scores(image: tuple[Array, ...], limits: BoxLimits) -> Candidates:
    box, probability = image
    xp = namespace(box)
    score = xp.astype(xp.max(probability, axis=1), xp.float32)
    anchor = passing(score, limits)
    class_id = xp.argmax(probability[anchor, :], axis=1)
    return Candidates(anchor, score[anchor], class_id, xp.astype(box[anchor, :], xp.float32))


def _objectness_logits(image: tuple[Array, ...], limits: BoxLimits) -> Candidates:
    box, objectness, logits = image
    xp = namespace(box)
    # The sigmoid never falls, so the best class is found on the logits, and the activation runs on one column.
    best = xp.astype(xp.max(logits, axis=1), xp.float32)
    score = sigmoid(xp.astype(objectness[:, 0], xp.float32)) * sigmoid(best)
    anchor = passing(score, limits)
    class_id = xp.argmax(logits[anchor, :], axis=1)
    return Candidates(anchor, score[anchor], class_id, xp.astype(box[anchor, :], xp.float32))


def _final_rows(rows: Array, limits: BoxLimits, passes: Callable[[Array, Array], Array]) -> Candidates:
    xp = namespace(rows)
    rows = xp.astype(rows, xp.float32)
    # Exporters fill up to M rows with score 0 or class -1.
    real = xp.all(xp.isfinite(rows), axis=1) & (rows[:, 4] > 0) & (rows[:, 5] >= 0)
    anchor = xp.nonzero(real & passes(rows[:, 4], lowest_threshold(limits, like=rows)))[0]
    rows = rows[anchor, :]
    found = Candidates(anchor, rows[:, 4], xp.astype(rows[:, 5], xp.int64), rows[:, :4])
    return found[passes(found.score, threshold_of(found.class_id, limits))]


class _NmsLayout(Record, frozen=True):
    """A layout of overlapping boxes, which non-maximum suppression reduces."""

    layout: Layout
    read: Callable[[tuple[Array, ...], BoxLimits], Candidates]

    def decode(self, outputs: Outputs, _frame: Frame, limits: BoxLimits) -> list[Boxes]:
        images = zip(*self.layout.select(outputs), strict=True)
        return [suppress(self.read(image, limits), limits) for image in images]


class _FusedLayout(Record, frozen=True):
    """A layout whose rows are detections: the graph holds the suppression, or needs none."""

    passes: Callable[[Array, Array], Array]
    layout: Layout

    def decode(self, outputs: Outputs, _frame: Frame, limits: BoxLimits) -> list[Boxes]:
        (output,) = self.layout.select(outputs)
        return [best_rows(_final_rows(rows, limits, self.passes), limits) for rows in output]


def _decoder(kind: _NmsLayout | _FusedLayout) -> BoxDecoder:
    def named(names: Sequence[str]) -> BoxDecoder:
        return _decoder(replace(kind, layout=kind.layout.named(names)))

    return BoxDecoder(kind.decode, kind.layout.count_classes, named if kind.layout.words else None)


_ANY = (None, None, None)
_BOXES, _SCORES = ("box",), ("score", "class", "cls", "prob", "conf", "logit", "label")
"""What the names of outputs hold, in case their shapes do not differ."""

ANCHOR_FREE = _decoder(
    _NmsLayout(Layout("one output (B, 4 + C, N)", (_ANY,), class_axis=(0, 1), before_classes=4), _anchor_free)
)
"""Ultralytics YOLOv8 export without suppression."""

ANCHOR_BASED = _decoder(
    _NmsLayout(Layout("one output (B, N, 5 + C)", (_ANY,), class_axis=(0, 2), before_classes=5), _anchor_based)
)
"""YOLOv5 export; boxes are already in network pixels."""

BOXES_AND_SCORES = _decoder(
    _NmsLayout(
        Layout(
            "two outputs (B, N, 4), (B, N, C)",
            ((None, None, 4), _ANY),
            class_axis=(1, 2),
            words=(_BOXES, _SCORES),
        ),
        _boxes_and_scores,
    )
)
"""YOLO-NAS export."""

OBJECTNESS_LOGITS = _decoder(
    _NmsLayout(
        Layout(
            "three outputs (B, N, 4), (B, N, 1), (B, N, C)",
            ((None, None, 4), (None, None, 1), _ANY),
            class_axis=(2, 2),
            words=(_BOXES, ("obj",), _SCORES),
        ),
        _objectness_logits,
    )
)
"""YOLO-Lite export without suppression."""

_FINAL_LAYOUT = Layout("one output (B, M, 6)", ((None, None, 6),))

FINAL = _decoder(_FusedLayout(operator.ge, _FINAL_LAYOUT))
"""Exports that hold the suppression, and YOLO26, which needs none."""

FINAL_STRICT = _decoder(_FusedLayout(operator.gt, _FINAL_LAYOUT))
"""YOLOv10, which needs no suppression."""


class _FinalOrRaw(Record, frozen=True):
    """What the shapes show: `final` for (B, M, 6), else `ANCHOR_FREE`; no input gives that one 6 anchors."""

    final: BoxDecoder

    def decode(self, outputs: Outputs, frame: Frame, limits: BoxLimits) -> list[Boxes]:
        return self._shown([output.shape for output in outputs]).decode(outputs, frame, limits)

    def count_classes(self, shapes: Shapes) -> int | None:
        return self._shown(shapes).count_classes(shapes)

    def _shown(self, shapes: Shapes) -> BoxDecoder:
        return self.final if shapes and len(shapes[0]) == 3 and shapes[0][2] == 6 else ANCHOR_FREE


_FINAL_OR_RAW, _STRICT_OR_RAW = _FinalOrRaw(FINAL), _FinalOrRaw(FINAL_STRICT)

FINAL_OR_RAW = BoxDecoder(_FINAL_OR_RAW.decode, _FINAL_OR_RAW.count_classes)
"""YOLOv8 and its successors, by any exporter's choice of head: (B, M, 6) as `FINAL`, else as `ANCHOR_FREE`."""

FINAL_STRICT_OR_RAW = BoxDecoder(_STRICT_OR_RAW.decode, _STRICT_OR_RAW.count_classes)
"""YOLOv10, by either head."""
