"""YOLACT: boxes relative to priors, and masks as sums of prototypes whose channels come last.

Outputs as the hosted packages have them, one image at a time: offsets (1, P, 4), class scores (1, P, 1 + C) with the
background first, coefficients (1, P, M), priors (P, 4) cx cy w h as parts of the input size, prototypes (1, h, w, M).
Decoding as in the paper (arXiv 1904.02689, section 3) and SSD, whose variances are 0.1 and 0.2.

1. Best class of every prior but the background. 2. centre = prior centre + 0.1 * offset * prior size; size = prior size
* exp(0.2 * offset). 3. Non-maximum suppression per class. 4. Logits of a mask = coefficients x prototypes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.arrays import namespace, to_numpy
from inference_models.decoders.candidates import (
    LARGEST_EXPONENT,
    Candidates,
    as_float32,
    corners,
    passing,
    suppress,
)
from inference_models.decoders.layout import Layout, known
from inference_models.decoders.masks import check_map_size, prototype_maps
from inference_models.decoders.types import InstanceDecoder

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.decoders.masks import MaskMaps
    from inference_models.decoders.types import Boxes, BoxLimits, Frame, Outputs, Shapes

_LAYOUT = Layout(
    "five outputs (1, P, 4), (1, P, 1 + C), (1, P, M), (P, 4), (1, h, w, M)",
    ((None, None, 4), (None, None, None), (None, None, None), (None, 4), (None, None, None, None)),
    class_axis=(1, 2),
    before_classes=1,
)


def _decode(outputs: Outputs, frame: Frame, limits: BoxLimits) -> list[Boxes]:
    offsets, scores, _, priors, _ = _LAYOUT.select(outputs)
    return [suppress(_candidates(*image, priors, frame, limits), limits) for image in zip(offsets, scores, strict=True)]


def _candidates(offset: Array, scores: Array, priors: Array, frame: Frame, limits: BoxLimits) -> Candidates:
    xp = namespace(scores)
    score = xp.astype(xp.max(scores[:, 1:], axis=1), xp.float32)
    anchor = passing(score, limits)
    class_id = xp.argmax(scores[anchor, :][:, 1:], axis=1)
    moved, prior = (xp.astype(array[anchor, :], xp.float32) for array in (offset, priors))
    pixels = as_float32(frame[::-1], like=moved)
    centre = (prior[:, :2] + 0.1 * moved[:, :2] * prior[:, 2:]) * pixels
    size = prior[:, 2:] * xp.exp(xp.clip(0.2 * moved[:, 2:], max=LARGEST_EXPONENT)) * pixels
    return Candidates(anchor, score[anchor], class_id, corners(centre[:, 0], centre[:, 1], size[:, 0], size[:, 1]))


def _maps(outputs: Outputs, found: Boxes) -> MaskMaps:
    coefficients, prototypes = outputs[2], outputs[4]
    return prototype_maps(coefficients[0][found.anchor, :], np.moveaxis(to_numpy(prototypes[0]), -1, 0))


def _check(shapes: Shapes, frame: Frame | None) -> None:
    _LAYOUT.check(shapes)
    if known(shapes):
        batch, height, width, count = shapes[4]
        check_map_size((batch, count, height, width), frame)


YOLACT = InstanceDecoder(_decode, _LAYOUT.count_classes, maps=_maps, check=_check)
"""Of one image at a time."""
