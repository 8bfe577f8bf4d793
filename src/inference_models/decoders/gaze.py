"""Directions of gaze: two outputs, yaw and pitch, as angles (B,) or as logits (B, bins) of bins of angles.

The angle of logits is the expectation of their softmax over the first edges of the bins, as L2CS-Net computes it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from inference_models.arrays import namespace
from inference_models.decoders.candidates import as_float32
from inference_models.decoders.classes import softmax
from inference_models.decoders.layout import Layout, known, unexpected_outputs
from inference_models.record import Record, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.arrays import Array
    from inference_models.decoders.types import Outputs, Shapes

_NAMES = Layout("", ((), ()), words=(("yaw",), ("pitch",)))


class AngleBins(Record, frozen=True):
    """Neighbouring parts of the range of an angle, in degrees."""

    count: int
    width: float
    first: float
    """Where the first bin begins."""


class GazeLayout(Record, frozen=True):
    """Which bins the logits of an architecture may be of, and which output is yaw."""

    bins: tuple[AngleBins, ...]
    order: tuple[int, ...] = (0, 1)
    """Places of yaw and pitch."""

    def named(self, names: Sequence[str]) -> GazeLayout:
        """This layout in the order that the names of the outputs tell; as it is where they tell none."""
        return replace(self, order=_NAMES.named(names).order or self.order)

    def check(self, shapes: Shapes) -> None:
        """Returns nothing when a graph with outputs of these shapes may have this layout.

        Raises:
            CorruptedModelPackageError: it has another one.
        """
        if known(shapes):
            self._bins_of(shapes)

    def decode(self, outputs: Outputs) -> Array:
        """(B, 2) float32: yaw and pitch of each image in radians; angles of the graph are kept as they are.

        Raises:
            CorruptedModelPackageError: the outputs have another layout.
        """
        bins = self._bins_of([tuple(output.shape) for output in outputs])
        xp = namespace(outputs[0])
        return xp.stack([_angles(outputs[place], bins) for place in self.order], axis=1)

    def _bins_of(self, shapes: Shapes) -> AngleBins | None:
        """The bins of logits of these shapes; None: they are angles."""
        for bins in (None, *self.bins):
            shape = (None,) if bins is None else (None, bins.count)
            if Layout("", (shape, shape)).orders(shapes):
                return bins
        logits = " or ".join(f"(B, {bins.count})" for bins in self.bins)
        raise unexpected_outputs(f"two outputs, yaw and pitch: both (B,) angles, or both {logits} logits", shapes)


def _angles(output: Array, bins: AngleBins | None) -> Array:
    xp = namespace(output)
    if bins is None:
        return xp.astype(output, xp.float32)
    scores = softmax(output)
    position = xp.sum(scores * as_float32(list(range(bins.count)), like=scores), axis=1)
    return (position * bins.width + bins.first) * (math.pi / 180)
