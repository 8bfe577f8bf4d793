"""The report of a measurement, which the command line prints and `--json` writes."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.machine.child import psutil_or_none
from inference_models.measure.answers import LEAST_AGREEMENT, SURE_SCORE, has_gate
from inference_models.measure.contest import UNJUDGED
from inference_models.measure.rounds import BUSY, NOT_REACHED, SLOWER, WINNER
from inference_models.negotiate.case import setting_name
from inference_models.record import Record
from inference_models.text import plain, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.console import Console

    from inference_models.measure.contest import Contest
    from inference_models.measure.rounds import Contender
    from inference_models.negotiate.case import Plan

SCHEMA_VERSION = 2
NOT_FETCHED = "not fetched"


class Timing(Record, frozen=True, kw_only=True):
    """How fast one candidate was; times are milliseconds of one call, pre-processing included."""

    median_ms: float
    p95_ms: float
    calls: int
    rounds: int
    spread: float | None
    """How much its rounds differ: half their interquartile range, as a share of their median; None: too few rounds."""
    slower: float = 0.0
    """Than the fastest, as a share: 0.1 is 10 %."""


class TuneRow(Record, frozen=True, kw_only=True):
    """One candidate with one setting, and what became of it."""

    candidate: str
    """For example `weights.onnx in OpenVINO`."""
    package_id: str
    package_format: str
    quantization: str
    backend: str
    """The runtime."""
    threads: int | None
    """None: the runtime's own, or what the caller said."""
    execution_providers: tuple[str, ...] | None
    status: str
    """`winner`, `tied`, `slower`; out are `crashed`, `hung`, `failed`, `disagrees`, `too much memory`, `not fetched`,
    `not judged`: whether it disagrees is not known; `not reached`: the budget ended before."""
    verdict: str
    """In words."""
    timing: Timing | None = None
    load_seconds: float | None = None
    """From the package on disk to a model that can be called, the import of the runtime included."""
    peak_memory: int | None = None
    """Bytes its process was seen to hold at most; None: psutil is not installed."""
    device: str | None = None
    last_lines: tuple[str, ...] = ()
    """What a candidate that is out wrote to standard error last."""

    @property
    def setting(self) -> str:
        """For people: `2 threads, CPUExecutionProvider`."""
        return setting_name(self.threads, self.execution_providers) or "-"

    def is_of(self, plan: Plan) -> bool:
        """Whether this is what was found out about `plan`."""
        named = plan.candidate.package.package_id, plan.candidate.runtime.value, plan.threads, plan.execution_providers
        return named == (self.package_id, self.backend, self.threads, self.execution_providers)


class TuneReport(Record, frozen=True, kw_only=True):
    """The result of a measurement of one model on this machine."""

    model_id: str
    provider: str
    created_at: str
    """ISO 8601, UTC."""
    library_version: str
    machine: str
    """Fingerprint: what is remembered holds as long as it stays the same."""
    budget: float
    """Seconds measuring may take; fetching comes before."""
    seconds: float
    """Seconds it took."""
    images: int
    """Pictures the answers were compared on."""
    reference: str | None
    """The candidate the answers of the others were compared with."""
    rows: tuple[TuneRow, ...]
    """The winner first, then by time, then what is out."""
    busy: float = 0.0
    """Share of the processors that other programs used meanwhile."""
    remembered: bool = False
    """Whether later loads will take the winner."""
    notes: tuple[str, ...] = ()
    """What the numbers do not say."""

    @property
    def winner(self) -> TuneRow | None:
        """None: nothing could be measured."""
        return next((row for row in self.rows if row.status == WINNER), None)

    def to_dict(self) -> dict[str, Any]:
        """The report as values JSON can hold; the keys are the names of the fields."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}

    def render(self, console: Console, wording: Callable[[str], str] = str) -> None:
        """Print it as a table, with what matters below in the words that `wording` makes of it."""
        from rich.table import Table  # noqa: PLC0415 - only needed to print

        table = Table()
        table.add_column("candidate")
        table.add_column("setting")
        for name in ("median ms", "p95 ms", "noise", "MB", "load s", "calls"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("verdict")
        for row in self.rows:
            table.add_row(plain(row.candidate), plain(row.setting), *_numbers(row), plain(row.verdict))
        console.print(table)
        for line in self._lines():
            console.print(plain(wording(line)), soft_wrap=True)

    def _lines(self) -> list[str]:
        """What is said below the table."""
        best = self.winner
        if best is None:
            first = "nothing could be measured; the declared order stays"
        else:
            told = "later loads take it" if self.remembered else "it is not remembered"
            measured = sum(row.timing is not None for row in self.rows)
            lead = "fastest here" if measured > 1 else "the only one that was measured"
            first = f"{lead}: {best.candidate}, {best.setting}; {told}"
        pictures = "1 picture" if self.images == 1 else f"{self.images} pictures"
        compared = f"answers compared on {pictures} with {self.reference}" if self.reference else ""
        took = f"measured for {self.seconds:.1f} s of {self.budget:g} s"
        told_errors = [
            f"{row.candidate}, {row.setting}: {printable(line)}" for row in self.rows for line in row.last_lines[-3:]
        ]
        return [first, "; ".join(part for part in (took, compared) if part), *self.notes, *told_errors]


def row_of(plan: Plan, status: str, verdict: str, **measured: Any) -> TuneRow:
    """What became of a plan; `measured` are the fields that a contest fills."""
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
        **measured,
    )


def rows_of(contest: Contest, absent: Iterable[TuneRow]) -> tuple[TuneRow, ...]:
    """One row per plan: the winner, the others by time, then those that are out."""
    rows = [
        row_of(
            each.plan,
            each.status,
            each.verdict,
            timing=_timing(each, contest.best) if each.measured and contest.best is not None else None,
            load_seconds=each.load_seconds,
            peak_memory=each.peak_memory,
            device=each.device,
            last_lines=each.last_lines,
        )
        for each in contest.contenders
    ]
    return tuple(sorted([*rows, *absent], key=_place))


def notes_on(contest: Contest, budget: float) -> tuple[str, ...]:
    """What the numbers do not say."""
    contenders, notes = contest.contenders, []
    missing = sum(contender.status == NOT_REACHED for contender in contenders)
    if missing:
        seen = max(len(contenders) - missing, 0.5)
        enough = math.ceil(max(budget, 1) * len(contenders) / seen * 1.5)
        rest = "" if contest.best is None else ", and one of them may be faster"
        notes.append(
            f"the budget of {budget:g} s was too short: {missing} of {len(contenders)} settings were not measured"
            f"{rest}; try --budget {enough}s"
        )
    if contest.rounds < 2 and sum(contender.measured for contender in contenders) > 1:
        notes.append("the budget ended after a few calls of each: the order of the times is a guess")
    else:
        notes += [_doubt(rival, contest.best) for rival in contenders if _is_rival(rival, contest.best)][:1]
    if contest.busy > BUSY:
        marked = "the choice is marked, and the next load with --set select=measured on a quiet machine measures again"
        then = "try later" if contest.best is None else marked
        notes.append(f"other programs used {contest.busy:.0%} of the processors meanwhile: {then}")
    if psutil_or_none() is None:
        notes.append("neither memory nor other programs were watched; for both: pip install psutil")
    return (*notes, *_notes_on_answers(contest))


def _notes_on_answers(contest: Contest) -> Iterator[str]:
    """What the agreement of the answers is worth."""
    contenders, own = contest.contenders, "pass pictures of your own with --image"
    if contest.found_nothing and len(contenders) > 1:
        yield f"the model found nothing on these pictures, so that only raw outputs could be compared; {own}"
    unjudged = sum(contender.status == UNJUDGED for contender in contenders)
    if unjudged:
        yield f"nobody can say whether {unjudged} of {len(contenders)} settings answer alike: they cannot win; {own}"
    formats = (contender.plan.candidate.package.quantization for contender in contenders if contender.measured)
    for name in sorted({kind.value for kind in formats if kind is not None and not has_gate(kind)}):
        yield (
            f"there is no gate for {name}: all that was asked is that {LEAST_AGREEMENT:.0%} of what was found with a "
            f"score above {SURE_SCORE} is the same"
        )


def _is_rival(contender: Contender, best: Contender | None) -> bool:
    """Whether it was slower by no more than twice what the rounds differ anyway, and by more than a tie."""
    if best is None or contender is best or contender.status != SLOWER:
        return False
    return contender.slower_than(best) <= 2 * contender.noise_with(best)


def _doubt(rival: Contender, best: Contender | None) -> str:
    row, fastest = row_of(rival.plan, "", ""), best or rival
    told_slower = f"{row.candidate}, {row.setting} was {rival.slower_than(fastest):.0%} slower"
    noise = f"the rounds differ by {rival.noise_with(fastest):.0%}"
    return f"not certain: {told_slower}, and {noise}; a larger budget would tell"


def _timing(contender: Contender, best: Contender) -> Timing:
    return Timing(
        median_ms=contender.median * 1e3,
        p95_ms=float(np.quantile(contender.calls, 0.95)) * 1e3,
        calls=len(contender.calls),
        rounds=len(contender.bursts),
        spread=contender.spread if len(contender.bursts) > 1 else None,
        slower=contender.slower_than(best),
    )


def _numbers(row: TuneRow) -> list[str]:
    memory = "" if row.peak_memory is None else f"{row.peak_memory / 1e6:,.0f}"
    load = "" if row.load_seconds is None else f"{row.load_seconds:.2f}"
    timing = row.timing
    if timing is None:
        return ["", "", "", memory, load, ""]
    noise = "" if timing.spread is None else f"±{timing.spread:.1%}"
    return [f"{timing.median_ms:.2f}", f"{timing.p95_ms:.2f}", noise, memory, load, str(timing.calls)]


def _place(row: TuneRow) -> tuple[int, float]:
    """The winner, then by time, then the rest."""
    if row.timing is None:
        return 2, 0.0
    return int(row.status != WINNER), row.timing.median_ms
