"""Whether answers are the same, and what a reader of the numbers has to know."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from inference_models.parity.compare import compare_predictions
from inference_models.parity.deviation import Deviation
from inference_models.parity.gates import FP32

if TYPE_CHECKING:
    from inference_models.parity.gates import Gate
    from inference_models.parity.images import ImageSet
    from inference_models.parity.raw import RawDeviation
    from inference_models.predictions.container import Prediction


def violations(deviation: Deviation, raw: RawDeviation, gate: Gate | None) -> tuple[str, ...]:
    """Why answers are not the same, in words; empty: they are, as far as the gate says what that means.

    Raw outputs decide where there was no answer to compare.
    """
    found = (*raw.not_finite(), *deviation.within(gate))
    if found or gate is None or deviation.compared:
        return found
    return raw.beyond(gate) if raw.images else ("nothing could be compared",)


def deviation_of(reference: list[Prediction], other: list[Prediction], images: int, gate: Gate | None) -> Deviation:
    """How far predictions are apart; those of models that give another number of them cannot be compared.

    Without a gate, what fp32 allows decides what is in the same place.
    """
    if len(reference) != len(other):
        return Deviation(images=images, incomparable=(f"{len(other)} answers, {len(reference)} of the reference",))
    return replace(compare_predictions(reference, other, box_px=(gate or FP32).box_px), images=images)


def notes_on(deviation: Deviation, raw: RawDeviation, images: ImageSet) -> tuple[str, ...]:
    """What was not compared, and why."""
    notes = []
    if not deviation.compared and not deviation.incomparable:
        nothing = f"no object above {deviation.least_score:g} on the {images.noun}"
        notes.append(f"{nothing}: only raw outputs were compared" if raw.images else nothing)
    if raw.note is not None:
        notes.append(f"raw outputs were not compared: {raw.note}")
    return tuple(notes)
