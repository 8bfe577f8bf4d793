"""Detection transformers whose queries are scored class by class.

Layout of rfdetr 1.11.2: `dets` (B, Q, 4) cx cy w h as parts of the input size, `labels` (B, Q, C) logits. Further
outputs, such as masks, go with the queries: `anchor` of a box is its query.

1. Score = sigmoid of each logit: a query may be several objects.
2. Scores above the threshold of their class, the Q best of them; equal ones in the order of queries, then classes.
3. Corners of the boxes in network pixels. There is no suppression.
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
from inference_models.decoders.layout import Layout, known
from inference_models.decoders.masks import MaskMaps, check_map_size
from inference_models.decoders.types import BoxDecoder, InstanceDecoder

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.decoders.types import Boxes, BoxLimits, Frame, Outputs, Shapes


def _candidates(image: tuple[Array, ...], frame: Frame, limits: BoxLimits) -> Candidates:
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
    height, width = frame
    query = place // classes
    part = xp.astype(box[query, :], xp.float32) * as_float32([width, height, width, height], like=box)
    return Candidates(query, score[place], class_id, corners(part[:, 0], part[:, 1], part[:, 2], part[:, 3]))


def _find(image: tuple[Array, ...], frame: Frame, limits: BoxLimits) -> Boxes:
    return best_rows(_candidates(image, frame, limits), limits)


def _boxes(layout: Layout) -> BoxDecoder:
    def decode(outputs: Outputs, frame: Frame, limits: BoxLimits) -> list[Boxes]:
        return [_find(image, frame, limits) for image in zip(*layout.select(outputs), strict=True)]

    return BoxDecoder(decode, layout.count_classes, named=lambda names: _boxes(layout.named(names)))


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

QUERIES = _boxes(
    Layout(
        "two outputs (B, Q, 4), (B, Q, C)",
        ((None, None, 4), (None, None, None)),
        class_axis=(1, 2),
        words=(_BOX, _CLASS),
    )
)
"""RF-DETR, and others of the kind without a class that stands for nothing."""

QUERIES_WITH_MASKS = _instances(
    Layout(
        "three outputs (B, Q, 4), (B, Q, C), (B, Q, h, w)",
        ((None, None, 4), (None, None, None), (None, None, None, None)),
        class_axis=(1, 2),
        words=(_BOX, _CLASS, ("mask",)),
    )
)
"""The same with `masks`, logits over the whole input."""
