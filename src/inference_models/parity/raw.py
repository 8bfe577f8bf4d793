"""How far the outputs of two graphs are apart when both get the same input."""

from __future__ import annotations

from dataclasses import dataclass, field
from sys import float_info
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference_models.arrays import NumpyArray
    from inference_models.parity.compare import Gate


class OutputDeviation(msgspec.Struct, frozen=True, kw_only=True):
    """One output of a graph, over all inputs."""

    name: str
    max_abs: float = 0.0
    max_rel: float = 0.0
    """`max_abs` over the largest magnitude this output has in the reference."""
    not_finite: int = 0
    """NaN and infinite numbers, on all images."""


class RawDeviation(msgspec.Struct, frozen=True, kw_only=True):
    """All outputs of a graph."""

    images: int = 0
    """Network inputs that both graphs got."""
    outputs: tuple[OutputDeviation, ...] = ()
    note: str | None = None
    """Why outputs were not compared; None: they were."""

    def not_finite(self) -> tuple[str, ...]:
        """A sentence on each output that holds NaN or infinite numbers."""
        return tuple(
            f"output {output.name!r} holds {output.not_finite} numbers that are not finite"
            for output in self.outputs
            if output.not_finite
        )

    def beyond(self, gate: Gate) -> tuple[str, ...]:
        """A sentence on each output that is too far off."""
        return tuple(
            f"output {output.name!r} differs by up to {output.max_rel:.2g} of its largest magnitude "
            f"(allowed: {gate.raw:g})"
            for output in self.outputs
            if output.max_rel > gate.raw
        )


@dataclass
class RawTally:
    """Maxima while outputs are looked at image by image."""

    images: int = 0
    note: str | None = None
    largest: dict[str, float] = field(default_factory=dict)
    """Difference."""
    scale: dict[str, float] = field(default_factory=dict)
    """Magnitude in the reference."""
    infinite: dict[str, int] = field(default_factory=dict)

    def check(self, outputs: Mapping[str, NumpyArray]) -> None:
        """Count NaN and infinite numbers."""
        for name, array in outputs.items():
            if array.dtype.kind in "fc":
                self.infinite[name] = self.infinite.get(name, 0) + int((~np.isfinite(array)).sum())

    def compare(self, reference: Mapping[str, NumpyArray], other: Mapping[str, NumpyArray]) -> None:
        """Widen the maxima by what two graphs answered to one input."""
        pairs = _paired(reference, other)
        if isinstance(pairs, str):
            self.note = self.note or pairs
            return
        self.images += 1
        for name, (first, second) in pairs.items():
            left, right = first.astype(np.float64), second.astype(np.float64)
            known = np.isfinite(left) & np.isfinite(right)
            with np.errstate(over="ignore"):
                _widen(self.largest, name, np.abs(left[known] - right[known]))
            _widen(self.scale, name, np.abs(left[known]))

    def deviation(self) -> RawDeviation:
        """What was found so far."""
        names = list(dict.fromkeys([*self.largest, *self.infinite]))
        note = self.note or (None if self.images else "there were no outputs to compare")
        return RawDeviation(images=self.images, outputs=tuple(map(self._output, names)), note=note)

    def _output(self, name: str) -> OutputDeviation:
        apart, scale = self.largest.get(name, 0.0), self.scale.get(name, 0.0)
        # A quotient that is too large for a number has no place in JSON.
        relative = min(apart / scale, float_info.max) if scale else float(apart > 0)
        return OutputDeviation(name=name, max_abs=apart, max_rel=relative, not_finite=self.infinite.get(name, 0))


def _widen(known: dict[str, float], name: str, values: NumpyArray) -> None:
    known[name] = max(known.get(name, 0.0), float(np.nan_to_num(values).max(initial=0.0)))


def _paired(
    reference: Mapping[str, NumpyArray], other: Mapping[str, NumpyArray]
) -> dict[str, tuple[NumpyArray, NumpyArray]] | str:
    """Outputs by the other graph's names; by order where the graphs name them differently. Or why there are none."""
    if len(reference) != len(other):
        return f"it has {len(other)} outputs, the reference {len(reference)}"
    same_names = set(reference) == set(other)
    firsts = [reference[name] for name in other] if same_names else list(reference.values())
    pairs = dict(zip(other, zip(firsts, other.values(), strict=True), strict=True))
    for name, (first, second) in pairs.items():
        if first.shape != second.shape:
            return f"output {name!r} has the shape {second.shape}, that of the reference {first.shape}"
    return pairs
