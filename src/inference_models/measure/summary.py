"""From contenders to the rows and notes of a report."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from inference_models.measure.answers import LEAST_AGREEMENT, SURE_SCORE, has_gate
from inference_models.measure.contest import BUSY
from inference_models.measure.report import NOT_REACHED, UNJUDGED, Timing, TuneRow
from inference_models.measure.statistics import quantile, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from inference_models.measure.contender import Contender
    from inference_models.measure.contest import Contest
    from inference_models.negotiate.plan import Plan

_MS = 1e3
_UNCERTAIN = 0.05
"""A difference that is known no better than this is told, ..."""
_PLAUSIBLE = 0.15
"""... if it is not larger than this."""


def summarised(contest: Contest, contenders: Sequence[Contender], absent: Iterable[TuneRow]) -> tuple[TuneRow, ...]:
    """One row per plan: the winner, the others by time, then those that are out."""
    rows = [_row(contender, contest.best) for contender in contenders]
    return tuple(sorted([*rows, *absent], key=_place))


def row_of(plan: Plan, status: str, verdict: str) -> TuneRow:
    """A plan with its verdict, and no numbers."""
    candidate = plan.candidate
    quantization = candidate.package.quantization
    return TuneRow(
        candidate=candidate.label,
        package_id=candidate.package.package_id,
        package_format=candidate.package.backend.value,
        quantization=quantization.value if quantization else "unknown",
        backend=candidate.runtime.value,
        threads=plan.threads,
        execution_providers=plan.execution_providers,
        status=status,
        verdict=verdict,
    )


def notes_on(contest: Contest, contenders: Sequence[Contender], budget: float) -> tuple[str, ...]:
    """What the numbers do not say."""
    notes = []
    missing = sum(contender.status == NOT_REACHED for contender in contenders)
    if missing:
        seen = max(len(contenders) - missing, 0.5)
        enough = math.ceil(max(budget, 1) * len(contenders) / seen * 1.5)
        notes.append(
            f"the budget of {budget:g} s was too short: {missing} of {len(contenders)} settings were not measured, "
            f"and one of them may be faster; try --budget {enough}s"
        )
    if contest.best is not None and contest.rounds == 0 and len(contenders) > 1:
        notes.append("the budget ended after the first looks: the order of the times is a guess")
    elif (rival := _rival(contest, contenders)) is not None:
        found = rival.compared_with(contest.best or rival)
        doubt = (
            "in too few rounds to say how sure that is"
            if math.isinf(found.uncertainty)
            else f"give or take {found.uncertainty:.0%}"
        )
        row = row_of(rival.job.plan, "", "")
        told = f"{row.candidate}, {row.setting} was {found.slower:.0%} slower, {doubt}"
        notes.append(f"not certain: {told}; a larger budget would tell")
    if contest.busy > BUSY:
        notes.append(
            f"other programs used {contest.busy:.0%} of the processors meanwhile, which takes most from settings with "
            "many threads; the quieter half of the rounds was counted; measure again when the machine does what it "
            "will do in use"
        )
    return (*notes, *_notes_on_answers(contest, contenders))


def _notes_on_answers(contest: Contest, contenders: Sequence[Contender]) -> Iterator[str]:
    """What the agreement of the answers is worth."""
    own = "pass pictures of your own with --image"
    if contest.found_nothing and len(contenders) > 1:
        yield f"the model found nothing on these pictures, so that only raw outputs could be compared; {own}"
    unjudged = sum(contender.status == UNJUDGED for contender in contenders)
    if unjudged:
        yield f"nobody can say whether {unjudged} of {len(contenders)} settings answer alike: they cannot win; {own}"
    formats = (contender.job.plan.candidate.package.quantization for contender in contenders if contender.measured)
    for name in sorted({kind.value for kind in formats if kind is not None and not has_gate(kind)}):
        yield (
            f"there is no gate for {name}: all that was asked is that {LEAST_AGREEMENT:.0%} of what was found with a "
            f"score above {SURE_SCORE} is the same"
        )


def _rival(contest: Contest, contenders: Sequence[Contender]) -> Contender | None:
    """The first that may well be the fastest, and is not known to be as fast."""
    for contender in contenders:
        if contest.best is None or contender is contest.best or not contender.measured:
            continue
        found = contender.compared_with(contest.best)
        if found.slower < _PLAUSIBLE and found.least < 0 and found.uncertainty > _UNCERTAIN:
            return contender
    return None


def _row(contender: Contender, best: Contender | None) -> TuneRow:
    row = row_of(contender.job.plan, contender.status, contender.verdict)
    return replace(
        row,
        timing=_timing(contender, best) if contender.measured and best is not None else None,
        load_seconds=contender.load_seconds,
        peak_memory=contender.peak_memory,
        device=contender.device,
        last_lines=contender.last_lines,
    )


def _timing(contender: Contender, best: Contender) -> Timing:
    calls = contender.calls
    found = contender.compared_with(best)
    return Timing(
        median_ms=median(calls) * _MS,
        p95_ms=quantile(calls, 0.95) * _MS,
        calls=len(calls),
        rounds=len(contender.rounds),
        spread=spread(contender.times),
        slower=found.slower,
        uncertainty=None if math.isinf(found.uncertainty) else found.uncertainty,
    )


def _place(row: TuneRow) -> tuple[int, float]:
    """The winner, then by time, then the rest."""
    if row.timing is None:
        return 2, 0.0
    return int(row.status != "winner"), row.timing.median_ms
