"""Detection transformers: boxes of queries, as parts of the input size. There is no suppression.

| constant     | outputs                                                      | score                  | per query |
|--------------|--------------------------------------------------------------|------------------------|-----------|
| `QUERIES`    | (B, Q, 4) cx cy w h; (B, Q, C) logits                        | sigmoid of each logit  | several   |
| `ONE_CLASS`  | (B, Q, 4) cx cy w h; (B, Q, C + 1) logits, the last: nothing | softmax, best class    | one       |
| `ROWS`       | (B, Q, 4 + C) cx cy w h, scores                              | best class             | one       |
| `ROWS`       | (B, Q, 6) cx cy w h, score, class                            | as given               | one       |

`QUERIES`: scores above the threshold of their class, the Q best of them; equal ones in the order of queries, then
classes. Further outputs, such as masks, go with the queries: `anchor` of a box is its query.
Checked against rfdetr 1.11.2, transformers 5.24.0 and ultralytics 8.4.190.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.arrays import namespace, to_numpy
from inference_models.decoders.candidates import (
    Candidates,
    as_float32,
    best_rows,
    corners,
    passing,
    sigmoid,
    threshold_of,
)
from inference_models.decoders.classes import softmax
from inference_models.decoders.layout import OTHER_EXPORT, Layout, known
from inference_models.decoders.masks import MaskMaps, check_map_size
from inference_models.decoders.types import BoxDecoder, InstanceDecoder
from inference_models.errors import CorruptedModelPackageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import Array
    from inference_models.decoders.types import Boxes, BoxLimits, Frame, Outputs, Shapes

    Read = Callable[[tuple[Array, ...], Frame, BoxLimits], Candidates]

_FINAL_ROW = 6
"""cx cy w h, score, class."""


def _several(image: tuple[Array, ...], frame: Frame, limits: BoxLimits) -> Candidates:
    box, logits = image
    xp = namespace(logits)
    classes = logits.shape[1]
    score = sigmoid(xp.astype(xp.reshape(logits, (-1,)), xp.float32))
    place = passing(score, limits)
    class_id = place % classes
    kept = score[place] > threshold_of(class_id, limits)
    place, class_id = place[kept], class_id[kept]
    place_of = xp.argsort(-score[place], stable=True)[: logits.shape[0]]
    place, class_id = place[place_of], class_id[place_of]
    query = place // classes
    return Candidates(query, score[place], class_id, _in_pixels(box[query, :], frame))


def _one_class(image: tuple[Array, ...], frame: Frame, limits: BoxLimits) -> Candidates:
    box, logits = image
    return _one(box, *_best(softmax(logits)[:, :-1]), frame, limits)


def _rows(image: tuple[Array, ...], frame: Frame, limits: BoxLimits) -> Candidates:
    (rows,) = image
    xp = namespace(rows)
    rows = xp.astype(rows, xp.float32)
    # Scores of two classes make rows of 6 too, but no column of theirs is whole numbers.
    if rows.shape[1] == _FINAL_ROW and bool(xp.all(rows[:, 5] == xp.round(rows[:, 5]))):
        return _one(rows[:, :4], rows[:, 4], xp.astype(rows[:, 5], xp.int64), frame, limits)
    return _one(rows[:, :4], *_best(rows[:, 4:]), frame, limits)


def _best(scores: Array) -> tuple[Array, Array]:
    """Score and number of the best class of each row (Q, C)."""
    xp = namespace(scores)
    return xp.max(scores, axis=1), xp.argmax(scores, axis=1)


def _one(box: Array, score: Array, class_id: Array, frame: Frame, limits: BoxLimits) -> Candidates:
    """Those of the queries, each of one class, that are above the threshold of it."""
    query = passing(score, limits)
    query = query[score[query] > threshold_of(class_id[query], limits)]
    return Candidates(query, score[query], class_id[query], _in_pixels(box[query, :], frame))


def _in_pixels(box: Array, frame: Frame) -> Array:
    """(k, 4) corners in network pixels of cx cy w h as parts of the input size."""
    xp = namespace(box)
    height, width = frame
    part = xp.astype(box, xp.float32) * as_float32([width, height, width, height], like=box)
    return corners(part[:, 0], part[:, 1], part[:, 2], part[:, 3])


def _find(image: tuple[Array, ...], frame: Frame, limits: BoxLimits) -> Boxes:
    return best_rows(_several(image, frame, limits), limits)


def _boxes(layout: Layout, read: Read = _several, *, nothing: int = 0) -> BoxDecoder:
    """The last `nothing` columns of classes are none."""

    def decode(outputs: Outputs, frame: Frame, limits: BoxLimits) -> list[Boxes]:
        images = zip(*layout.select(outputs), strict=True)
        return [best_rows(read(image, frame, limits), limits) for image in images]

    def count_classes(shapes: Shapes) -> int | None:
        layout.check(shapes)
        _check_queries(layout, shapes)
        count = layout.count_classes(shapes)
        return None if count is None else count - nothing

    return BoxDecoder(decode, count_classes, named=lambda names: _boxes(layout.named(names), read, nothing=nothing))


def _check_queries(layout: Layout, shapes: Shapes) -> None:
    """Raise when boxes and classes are not of as many queries."""
    counts = {tuple(shapes[place][1] for place in order) for order in layout.orders(shapes)} if known(shapes) else set()
    if counts and all(len(set(queries) - {None}) > 1 for queries in counts):
        raise CorruptedModelPackageError(
            "boxes and classes of the graph are not of the same queries.",
            needs=f"as many rows in each of the {layout.needs}",
            found=", ".join(str(tuple(shape)) for shape in shapes),
            fix=OTHER_EXPORT,
        )


def _instances(layout: Layout) -> InstanceDecoder:
    def decode(outputs: Outputs, frame: Frame, limits: BoxLimits) -> list[Boxes]:
        return [_find(image[:2], frame, limits) for image in zip(*layout.select(outputs), strict=True)]

    def maps(outputs: Outputs, found: Boxes) -> MaskMaps:
        logits, query = layout.select(outputs)[2][0], found.anchor
        size = (int(logits.shape[1]), int(logits.shape[2]))
        return MaskMaps(size, lambda rows: np.asarray(to_numpy(logits[query[rows]]), np.float32), len(query))

    def check(shapes: Shapes, frame: Frame | None) -> None:
        layout.check(shapes)
        if known(shapes):
            check_map_size(next(shape for shape in shapes if len(shape) == 4), frame)

    return InstanceDecoder(
        decode, layout.count_classes, lambda names: _instances(layout.named(names)), maps=maps, check=check
    )


_BOX, _CLASS = ("det", "box"), ("label", "logit", "class", "score")

_TWO = Layout(
    "two outputs (B, Q, 4), (B, Q, C)", ((None, None, 4), (None, None, None)), class_axis=(1, 2), words=(_BOX, _CLASS)
)

QUERIES = _boxes(_TWO)
"""RF-DETR, and others of the kind without a class that stands for nothing."""

ONE_CLASS = _boxes(_TWO, _one_class, nothing=1)
"""DETR and YOLOS."""

_ROW = Layout("one output (B, Q, 4 + C) or (B, Q, 6)", ((None, None, None),), class_axis=(0, 2), before_classes=4)
_WIDE_ROWS = _boxes(_ROW, _rows)

ROWS = BoxDecoder(
    _WIDE_ROWS.decode,
    lambda shapes: None if (count := _WIDE_ROWS.count_classes(shapes)) == _FINAL_ROW - 4 else count,
)
"""RT-DETR as Ultralytics exports it: whole rows, of scores up to 8.3, of the best class later."""


def _by_number_of_outputs(decoder: BoxDecoder) -> BoxDecoder:
    """`ROWS` for one output, else `decoder`."""

    def decode(outputs: Outputs, frame: Frame, limits: BoxLimits) -> list[Boxes]:
        return (ROWS if len(outputs) == 1 else decoder).decode(outputs, frame, limits)

    def count_classes(shapes: Shapes) -> int | None:
        return (ROWS if len(shapes) == 1 else decoder).count_classes(shapes)

    named = decoder.named
    return BoxDecoder(decode, count_classes, named and (lambda names: _by_number_of_outputs(named(names))))


QUERIES_OR_ROWS = _by_number_of_outputs(QUERIES)
"""RT-DETR by any exporter."""

QUERIES_WITH_MASKS = _instances(
    Layout(
        "three outputs (B, Q, 4), (B, Q, C), (B, Q, h, w)",
        ((None, None, 4), (None, None, None), (None, None, None, None)),
        class_axis=(1, 2),
        words=(_BOX, _CLASS, ("mask",)),
    )
)
"""The same with `masks`, logits over the whole input."""
