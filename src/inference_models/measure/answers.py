"""Compares answers of two processes, which travel as dictionaries of `Prediction.to_dict`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference_models.parity.compare import GATES, LEAST_SCORE, compare_predictions, gate_between
from inference_models.record import Record
from inference_models.tasks import painters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.entities import Quantization
    from inference_models.predictions.container import Prediction

SURE_SCORE = 0.5
"""Of number formats without a gate, what neither side scores higher is not compared."""
LEAST_AGREEMENT = 0.9
"""Share of what either side is so sure of that must be the same, where there is no gate."""


class Judgement(Record, frozen=True):
    """The result of comparing the answers of two candidates."""

    beyond: tuple[str, ...] = ()
    """What is too far apart, in words."""
    unjudged: str = ""
    """Why they could not be compared; empty: they were."""
    found_nothing: bool = False
    """Whether the reason is that neither found anything."""


def has_gate(kind: Quantization | None) -> bool:
    """Whether it is stated how far apart answers in this number format may be."""
    return gate_between(kind, kind) is not None


def read_answers(stated: list[dict[str, Any]]) -> list[Prediction]:
    """The predictions of `Worker.answers`; what is no prediction of this library is left out.

    Raises:
        InvalidParameterError: a dictionary is not what it says.
    """
    kinds = {kind.__name__: kind for kind in painters()}
    return [kinds[item["type"]].from_dict(item) for item in stated if item["type"] in kinds]


def judge_answers(
    reference: Sequence[Prediction], other: Sequence[Prediction], kinds: tuple[Quantization | None, Quantization | None]
) -> Judgement:
    """Whether two lists of answers are the same for their number formats."""
    if not reference or not other:
        whose = "it gives" if reference else "the reference gives"
        return Judgement(unjudged=f"{whose} nothing that can be compared")
    if len(reference) != len(other):
        return Judgement((f"it gave {len(other)} answers instead of {len(reference)}",))
    deviation = compare_predictions(reference, other)
    gate = gate_between(*kinds)
    beyond = deviation.beyond(gate)
    if beyond:
        return Judgement(beyond)
    if gate is None:
        return _judge_loosely(reference, other, kinds)
    if not deviation.compared:
        return Judgement(unjudged="nothing was found on these pictures", found_nothing=True)
    return Judgement()


def _judge_loosely(
    reference: Sequence[Prediction], other: Sequence[Prediction], kinds: tuple[Quantization | None, Quantization | None]
) -> Judgement:
    """Two lists of answers of which one is in a number format that promises nothing."""
    format_name = next(kind.value for kind in kinds if kind is not None and kind not in GATES)
    found = ([each.above(LEAST_SCORE) for each in answers] for answers in (reference, other))
    deviation = compare_predictions(*found, least_score=SURE_SCORE)
    counts = {
        f"objects with a score above {SURE_SCORE}": (deviation.matched, len(deviation.unmatched_scores)),
        f"classes with a score above {SURE_SCORE}": (deviation.labels_same, deviation.labels_different),
        "pixels": (deviation.pixels - deviation.pixel_flips, deviation.pixel_flips),
    }
    if not any(map(any, counts.values())):
        return Judgement(unjudged=f"no gate for {format_name}, and nothing was found with a score above {SURE_SCORE}")
    shares = {what: same / max(1, same + different) for what, (same, different) in counts.items() if same or different}
    needed = f"{format_name} has no gate; at least {LEAST_AGREEMENT:.0%} must be"
    return Judgement(
        tuple(
            f"{share:.0%} of the {what} are the same ({needed})"
            for what, share in shares.items()
            if share < LEAST_AGREEMENT
        )
    )
