"""How far apart the answers of two packages of one model may be."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from inference_models.entities import Quantization

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What is still the same answer."""

    matched: float
    """Share of the objects that have a partner of the same class, with IoU >= 0.9 or every edge within `box_px`."""
    box_px: float
    """Largest difference of an edge of a box, or of a key point, in pixels of the image."""
    score: float
    """Largest difference of a score. Objects this near to the threshold may be on either side of it."""
    mask_iou: float
    """Mean overlap of the masks of matched objects."""
    pixels: float
    """Share of the pixels of a segmentation map that may have another class."""
    raw: float
    """Largest difference of an output, relative to its largest magnitude; decides where nothing else can."""


FP32 = Gate(matched=1.0, box_px=0.5, score=0.001, mask_iou=0.99, pixels=0.001, raw=0.001)
FP16 = Gate(matched=0.995, box_px=2.0, score=0.01, mask_iou=0.98, pixels=0.005, raw=0.01)
GATES: Mapping[Quantization, Gate] = MappingProxyType(
    {Quantization.FP32: FP32, Quantization.FP16: FP16, Quantization.UNKNOWN: FP32}
)
"""Of what does not say how its numbers are stored, as much is asked as of fp32. INT8 and bf16 have no gate: how far
they differ is stated, and nothing is promised."""


def gate_between(reference: Quantization | None, other: Quantization | None) -> Gate | None:
    """The gate of the coarser of the two; None where there is none for one of them."""
    gates = [GATES.get(kind or Quantization.UNKNOWN) for kind in (reference, other)]
    if None in gates:
        return None
    return FP16 if FP16 in gates else FP32
