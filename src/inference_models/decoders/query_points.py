"""RF-DETR's key points: every query gives boxes, class logits and, for each class, points with their uncertainty.

Outputs: (B, Q, 4) cx cy w h as parts of the input size; (B, Q, C') logits, of which the first C are read;
(B, Q, C K, 8) x y as parts of the input size, findable logit, visible logit, log l11, l21, log l22, class logit; the K
slots of a class follow each other. Checked against rfdetr 1.11.2 (`rfdetr/models/postprocess.py`, Apache-2.0).

1. Every query may be an object of every class.
2. Precision of a point: P = L L^T, L = [[l11, 0], [l21, l22]]; covariance = P^-1 = M M^T with
   M = L^-T = [[1 / l11, -l21 / (l11 l22)], [0, 1 / l22]].
3. Score = sigmoid(log p - 0.2 log t), p the probability of the class and t the mean of the traces of the covariances of
   its points, weighted by how findable each is; where a class has no points, t is 1.
4. Threshold, best first. There is no suppression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.arrays import namespace
from inference_models.decoders.candidates import (
    LARGEST_EXPONENT,
    Candidates,
    as_float32,
    best_rows,
    corners,
    passing,
    sigmoid,
    threshold_of,
)
from inference_models.decoders.layout import Layout, unexpected_outputs
from inference_models.decoders.types import KeyPointDecoder, PointSets

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.decoders.types import BoxLimits, Frame, KeyPointHead, Outputs, Shapes

_NUMBERS = 8
_LAYOUT = Layout(
    "three outputs (B, Q, 4), (B, Q, C), (B, Q, C K, 8)",
    ((None, None, 4), (None, None, None), (None, None, None, _NUMBERS)),
    words=(("det", "box"), ("label", "logit", "class"), ("keypoint",)),
)
_TRACE_POWER = 0.2
_TINY = 1e-12


def _decoder(layout: Layout) -> KeyPointDecoder:
    def decode(outputs: Outputs, frame: Frame, limits: BoxLimits, head: KeyPointHead) -> list[PointSets]:
        check([tuple(output.shape) for output in outputs], head)
        xp = namespace(outputs[0])
        images = zip(*(xp.astype(output, xp.float32) for output in layout.select(outputs)), strict=True)
        scale = as_float32([frame[1], frame[0]], like=outputs[0])
        return [_point_sets(image, scale, limits, head) for image in images]

    def check(shapes: Shapes, head: KeyPointHead) -> None:
        slots = head.classes * head.points
        if not any(
            shapes[points][2] in {None, slots} and (shapes[logits][2] or head.classes) >= head.classes
            for _, logits, points in layout.orders(shapes)
        ):
            needs = f"(B, Q, 4), (B, Q, {head.classes} or more), (B, Q, {slots}, 8)"
            raise unexpected_outputs(f"{needs}: {head.classes} classes, {head.points} key points each", shapes)
        layout.check(shapes)

    return KeyPointDecoder(decode, check, named=lambda names: _decoder(layout.named(names)))


def _point_sets(image: tuple[Array, ...], scale: Array, limits: BoxLimits, head: KeyPointHead) -> PointSets:
    box, logits, points = image
    xp = namespace(box)
    numbers = xp.reshape(points, (-1, head.points, _NUMBERS))  # one row per query and class
    score = _fused(sigmoid(xp.reshape(logits[:, : head.classes], (-1,))), numbers, head)
    row = passing(score, limits)
    class_id = row % head.classes
    centre = box[row // head.classes, :] * xp.concat([scale, scale])
    found = Candidates(row, score[row], class_id, corners(centre[:, 0], centre[:, 1], centre[:, 2], centre[:, 3]))
    boxes = best_rows(found[found.score > threshold_of(class_id, limits)], limits)
    numbers = numbers[boxes.anchor, ...]
    return PointSets(boxes, numbers[..., :2] * scale, sigmoid(numbers[..., 2]), _covariance(numbers, scale))


def _fused(probability: Array, numbers: Array, head: KeyPointHead) -> Array:
    """(Q C,) scores, from (Q C, K, 8)."""
    xp = namespace(numbers)
    slot = np.arange(head.points)[None, :] < np.tile(head.counts, numbers.shape[0] // head.classes)[:, None]
    counted = as_float32(slot, like=numbers)
    weight = sigmoid(numbers[..., 2]) * counted
    log1, log2 = -2 * numbers[..., 4], -2 * numbers[..., 6]
    log3 = 2 * xp.log(xp.clip(xp.abs(numbers[..., 5]), min=_TINY)) + log1 + log2
    log_trace = xp.logaddexp(xp.logaddexp(log1, log2), log3)
    largest = xp.max(log_trace, axis=1, keepdims=True)
    mean = xp.sum(weight * xp.exp(log_trace - largest), axis=1) / xp.clip(xp.sum(weight, axis=1), min=_TINY)
    log_mean = xp.where(xp.sum(counted, axis=1) > 0, xp.log(xp.clip(mean, min=_TINY)) + largest[:, 0], 0.0)
    return sigmoid(xp.log(probability) - _TRACE_POWER * log_mean)


def _covariance(numbers: Array, scale: Array) -> Array:
    """(n, K, 2, 2) in square pixels."""
    xp = namespace(numbers)
    first, second = (xp.exp(xp.clip(-numbers[..., at], max=LARGEST_EXPONENT / 2)) for at in (4, 6))
    zero = xp.zeros_like(first)
    factor = xp.stack([first, -numbers[..., 5] * first * second, zero, second], axis=-1)
    factor = xp.reshape(factor, (*numbers.shape[:2], 2, 2)) * scale[:, None]
    return xp.matmul(factor, xp.matrix_transpose(factor))


QUERY_POINTS = _decoder(_LAYOUT)
"""Needs no suppression."""
