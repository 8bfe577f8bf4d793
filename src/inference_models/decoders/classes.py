"""Layouts of class scores: one output (B, C), as logits or already as scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.arrays import namespace
from inference_models.decoders.candidates import sigmoid
from inference_models.decoders.layout import Layout
from inference_models.decoders.types import ClassDecoder

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.decoders.types import Outputs

_LAYOUT = Layout("one output (B, C)", ((None, None),), class_axis=(0, 1))


def softmax(logits: Array) -> Array:
    """float32 of the same shape that sums to 1 over the last axis; large logits do not overflow."""
    xp = namespace(logits)
    logits = xp.astype(logits, xp.float32)
    raised = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return raised / xp.sum(raised, axis=-1, keepdims=True)


def _softmax(outputs: Outputs) -> Array:
    return softmax(_LAYOUT.select(outputs)[0])


def _sigmoid(outputs: Outputs) -> Array:
    return sigmoid(_fused(outputs))


def _fused(outputs: Outputs) -> Array:
    (scores,) = _LAYOUT.select(outputs)
    xp = namespace(scores)
    return xp.astype(scores, xp.float32)


SOFTMAX = ClassDecoder(decode=_softmax, count_classes=_LAYOUT.count_classes)
"""Logits of classes that exclude each other."""

SIGMOID = ClassDecoder(decode=_sigmoid, count_classes=_LAYOUT.count_classes)
"""Logits of labels that do not exclude each other."""

FUSED = ClassDecoder(decode=_fused, count_classes=_LAYOUT.count_classes)
"""Scores: the activation is in the graph."""
