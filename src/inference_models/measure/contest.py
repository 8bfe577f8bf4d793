"""Candidates against each other, within a budget of time: a first look at each, then rounds among those left.

A *first look* opens a candidate in its own process, calls it until it is warm, and compares its answers with those of
the reference. What crashes, hangs, raises or answers differently is out. The others take turns in *rounds* until the
fastest is known or the budget ends; who is clearly slower leaves early, so that the time goes to those that are close.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from inference_models.errors import BaseInferenceModelsError, InvalidParameterError
from inference_models.measure.answers import Judgement, has_gate, judge_answers, read_answers
from inference_models.measure.busy import OtherPrograms
from inference_models.measure.child import ChildFailedError, Limits
from inference_models.measure.contender import LEAST_PATIENCE_S
from inference_models.measure.job import CannotBeHandedOnError
from inference_models.measure.memory import available_memory, memory_of, processor_seconds
from inference_models.measure.report import DISAGREES, FAILED, HUNG, NOT_REACHED, SLOWER, TIED, UNJUDGED, WINNER
from inference_models.measure.statistics import LEAST_FOR_INTERVAL
from inference_models.parity.compare import gate_between
from inference_models.parity.raw import OutputDeviation, RawDeviation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from inference_models.entities import Quantization
    from inference_models.measure.contender import Contender

LOOKS_SHARE = 0.7
"""Of the budget, for first looks; the rest is for rounds."""
ANSWERS_SHARE = 0.2
"""Of the budget, for comparing answers."""
PATIENCE_SHARE = 0.3
"""Of the budget, for one candidate to open."""
MEMORY_SHARE = 0.8
"""Of the memory that is free, for one candidate."""
ALL_MEMORY_SHARE = 0.5
"""The same, for all that are open at a time."""
WARM_S = 0.2
HOPELESS = 3.0
"""So many times slower than the best at the first look: no rounds."""
CLEARLY_SLOWER = 0.25
"""Slower by so much in each of the first rounds: no more of them."""
LEAST_ROUNDS = 12
MOST_ROUNDS = 150
BUSY = 0.15
"""Share of the processors that other programs use, from which on only the hopeless leave early and no time is saved:
what has many threads suffers most, and may be the fastest as soon as the others are done."""
TIE = 0.01
"""Nobody notices so little, so the declared order decides."""
TIE_WITHIN_NOISE = 0.03
"""Nor this, where the noise is larger than the difference."""
SURE_ENOUGH = 0.01
"""Half the width of an interval that more rounds need not make narrower."""
_OUTPUT_PICTURES = 4
"""For so many the raw outputs are compared where nothing was found."""
_END_S = 0.2
"""To end the processes."""


@dataclass(frozen=True)
class Arena:
    """Where a contest takes place."""

    folder: Path
    """Private; the pictures are in it, and the jobs are written to it."""
    pictures: Sequence[str]
    """Paths; the first `timed` of them are what is timed, all of them are what answers are compared on."""
    timed: int
    budget: float
    progress: Callable[[str, float], None]
    """Gets what happens now, and the share of the budget that is used."""
    asked_for: frozenset[Quantization] = frozenset()
    """Number formats that the caller named: they may win where nobody can judge them for want of a gate."""


class Contest:
    """One measurement. `run` once."""

    def __init__(self, contenders: Sequence[Contender], arena: Arena) -> None:
        self._contenders = contenders
        self._arena = arena
        self._start = time.monotonic()
        self._end = self._start + arena.budget - min(_END_S, arena.budget / 10)
        self._free_memory = available_memory()
        self._compared = len(arena.pictures)
        self.reference: Contender | None = None
        """Whose answers those of the others are compared with."""
        self.best: Contender | None = None
        """The fastest; None: nothing was measured."""
        self.winner: Contender | None = None
        """The fastest, or what is as fast and comes first in the declared order."""
        self.rounds = 0
        self._others = OtherPrograms()
        self.busy = 0.0
        """Share of the machine's processors that other programs used meanwhile."""
        self.found_nothing = False
        """Whether the pictures showed the reference nothing that could be compared."""
        self._outputs: str | None = None
        """File with raw outputs of the reference, for that case."""

    @property
    def pictures_compared(self) -> int:
        """How many pictures the answers were compared on."""
        return self._compared

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._start

    def run(self, looks: Sequence[int]) -> None:
        """Look at the contenders in the order of `looks`, hold rounds, and write the verdicts.

        Whatever happens, no process is left.
        """
        try:
            self._look_at_all(looks)
            self._hold_rounds()
        finally:
            for contender in self._contenders:
                contender.end()
        self.busy = self._others.share()
        if self.busy > BUSY:
            self._count_quiet_rounds()
        self._decide()

    def _look_at_all(self, looks: Sequence[int]) -> None:
        until = self._start + LOOKS_SHARE * self._arena.budget
        for contender in self._in_turn(looks):
            now = time.monotonic()
            if now >= (self._end if self.reference is None else until):
                contender.verdict = f"not measured: the budget of {self._arena.budget:g} s ended before"
                continue
            self._tell(contender, "opening")
            with self._failures_kept(contender):
                self._look(contender)
            self._make_room()

    def _in_turn(self, looks: Sequence[int]) -> Iterator[Contender]:
        """Until there is a reference, those first whose number format says how far answers may be apart."""
        pending = [self._contenders[number] for number in looks]
        while pending:
            gated = (each for each in pending if self.reference is None and has_gate(_format_of(each)))
            contender = next(gated, pending[0])
            pending.remove(contender)
            yield contender

    def _look(self, contender: Contender) -> None:
        job = self._arena.folder / f"job-{contender.position}.json"
        memory = None if self._free_memory is None else int(self._free_memory * MEMORY_SHARE)
        contender.start(job, Limits(self._arena.budget + 30, memory))
        message = {"op": "open", "job": str(job), "images": list(self._arena.pictures)}
        opened = contender.ask("opened", message, self._patience())
        contender.load_seconds, contender.device = opened["seconds"], opened["device"]
        warm = contender.ask("run first", {"op": "warm", "least": 2, "seconds": WARM_S}, self._patience())["times"]
        self._compare_answers(contender, warm[-1] / 1e9)
        times = contender.ask("run", {"op": "run", "times": 3, "image": 0}, self._patience())["times"]
        contender.first_look = [each / 1e9 for each in times]
        contender.status, contender.alive = SLOWER, True
        if contender.child is not None:
            contender.child.settle()
        best = min(median(other.first_look) for other in self._contenders if other.measured)
        if min(contender.first_look) > HOPELESS * best:
            contender.drop(f"more than {HOPELESS:g} times slower at the first look")

    def _compare_answers(self, contender: Contender, seconds: float) -> None:
        """Keep the answers of the first contender that gets here; hold those of the others against them.

        Raises:
            ChildFailedError: they disagree, or cannot be read.
        """
        if self.reference is None:
            share = ANSWERS_SHARE * self._arena.budget / len(self._contenders)
            self._compared = max(self._arena.timed, min(len(self._arena.pictures), int(share / max(seconds, 1e-6))))
        answered = contender.ask("asked for answers", {"op": "answers", "images": self._compared}, self._patience())
        try:
            contender.answers = read_answers(answered["answers"])
        except (InvalidParameterError, KeyError, TypeError, ValueError) as exc:
            raise ChildFailedError(FAILED, f"its answers cannot be read: {exc}") from exc
        if self.reference is None:
            self._become_reference(contender)
            return
        judgement = self._judged(contender, self.reference)
        if judgement.beyond:
            raise ChildFailedError(DISAGREES, f"disagrees with the reference: {'; '.join(judgement.beyond)}")
        if judgement.unjudged and not self._may_win_unjudged(contender, self.reference):
            about = f"about {seconds * 1e3:.3g} ms at the first look"
            raise ChildFailedError(UNJUDGED, f"cannot win, its answers are not judged: {judgement.unjudged}; {about}")

    def _become_reference(self, contender: Contender) -> None:
        kind = _format_of(contender)
        judgement = judge_answers(contender.answers, contender.answers, (kind, kind))
        if judgement.beyond:  # not even the same as itself: it holds NaN
            raise ChildFailedError(FAILED, f"its answers are none: {'; '.join(judgement.beyond)}")
        self.found_nothing = judgement.found_nothing
        if self.found_nothing:
            path, images = str(self._arena.folder / "outputs.npz"), min(_OUTPUT_PICTURES, self._compared)
            message = {"op": "save_outputs", "images": images, "path": path}
            saved = contender.ask("asked for outputs", message, self._patience())["saved"]
            self._outputs = path if saved else None
        self.reference = contender

    def _judged(self, contender: Contender, reference: Contender) -> Judgement:
        kinds = _format_of(reference), _format_of(contender)
        judgement, gate = judge_answers(reference.answers, contender.answers, kinds), gate_between(*kinds)
        if not judgement.found_nothing or gate is None or self._outputs is None:
            return judgement
        message = {"op": "compare_outputs", "path": self._outputs}
        found = contender.ask("asked for outputs", message, self._patience())
        outputs = RawDeviation(outputs=tuple(OutputDeviation(**each) for each in found["outputs"]), note=found["note"])
        if outputs.note is not None:
            return Judgement(unjudged=f"{judgement.unjudged}, and {outputs.note}")
        return Judgement((*outputs.not_finite(), *outputs.beyond(gate)))

    def _may_win_unjudged(self, contender: Contender, reference: Contender) -> bool:
        """Whether it is the same package in the same runtime as the reference, or what the caller asked for."""
        mine, other = (
            (each.candidate.package.package_id, each.candidate.runtime, each.execution_providers)
            for each in (contender.job.plan, reference.job.plan)
        )
        kind = _format_of(contender)
        return mine == other or (kind in self._arena.asked_for and not has_gate(kind))

    def _hold_rounds(self) -> None:
        while self.rounds < MOST_ROUNDS and not self._is_decided():
            alive = [contender for contender in self._contenders if contender.alive]
            needed = sum(max(contender.times[-1] * 2, 0.1) for contender in alive)
            if not alive or time.monotonic() + needed > self._end:
                return
            turn = self.rounds % len(alive)
            for contender in alive[turn:] + alive[:turn]:
                self._tell(contender, f"round {self.rounds + 1}")
                with self._failures_kept(contender):
                    contender.run_round(self.rounds % self._arena.timed, self._end)
            self.rounds += 1
            self._eliminate()

    def _is_decided(self) -> bool:
        alive = [contender for contender in self._contenders if contender.alive]
        if not alive or self.rounds < LEAST_ROUNDS:
            return not alive
        best = fastest(alive)
        others = [contender.compared_with(best) for contender in alive if contender is not best]
        if others and self._busy_now():
            return False
        return all(found.least > TIE_WITHIN_NOISE or found.uncertainty <= SURE_ENOUGH for found in others)

    def _eliminate(self) -> None:
        alive = [contender for contender in self._contenders if contender.alive]
        if self.rounds < 2 or len(alive) < 2:
            return
        best = fastest(alive)
        busy = self._busy_now()
        clearly, surely = (HOPELESS, math.inf) if busy else (1 + CLEARLY_SLOWER, TIE_WITHIN_NOISE)
        for contender in alive:
            if contender is best:
                continue
            pairs = zip(contender.times, best.times, strict=False)
            always = all(mine > other * clearly for mine, other in pairs)
            if always or contender.compared_with(best).least > surely:
                contender.drop()

    def _busy_now(self) -> bool:
        children = (contender.child for contender in self._contenders)
        living = sum(processor_seconds(child.pid) for child in children if child is not None)
        return self._others.share(living) > BUSY

    def _count_quiet_rounds(self) -> None:
        """Let the faster half of the rounds count: those in which other programs disturbed least."""
        longest = max((len(contender.rounds) for contender in self._contenders), default=0)
        finalists = [contender for contender in self._contenders if len(contender.rounds) >= max(1, longest - 1)]
        shared = min((len(contender.rounds) for contender in finalists), default=0)
        slowness = [sum(math.log(each.rounds[number]) for each in finalists) for number in range(shared)]
        if shared < 2 * LEAST_FOR_INTERVAL:
            return
        quiet = frozenset(sorted(range(shared), key=slowness.__getitem__)[: shared // 2])
        for contender in self._contenders:
            contender.quiet = quiet

    def _decide(self) -> None:
        measured = [contender for contender in self._contenders if contender.measured]
        if not measured:
            return
        longest = max(len(contender.rounds) for contender in measured)
        finalists = [contender for contender in measured if len(contender.rounds) >= longest - 1]
        self.best = best = fastest(finalists)
        self.winner = min((each for each in measured if _is_tied(each, best)), key=lambda each: each.position)
        for contender in measured:
            _write_verdict(contender, best, self.winner)

    def _make_room(self) -> None:
        """Close the slowest while all that are open take more than their share of the memory."""
        if self._free_memory is None:
            return
        while True:
            open_now = [contender for contender in self._contenders if contender.alive and contender.child is not None]
            used = sum(memory_of(each.child.pid) or 0 for each in open_now if each.child is not None)
            if len(open_now) < 2 or used <= ALL_MEMORY_SHARE * self._free_memory:
                return
            max(open_now, key=lambda each: median(each.times)).drop("no rounds: there was no memory for so many")

    @contextmanager
    def _failures_kept(self, contender: Contender) -> Iterator[None]:
        """A candidate that fails is out; the others go on."""
        try:
            yield
        except CannotBeHandedOnError as exc:
            contender.out(FAILED, str(exc))
        except BaseInferenceModelsError as exc:
            contender.out(FAILED, exc.summary)
        except ChildFailedError as exc:
            ended = exc.status == HUNG and time.monotonic() >= self._end
            if ended and contender.measured:
                contender.end()
            elif ended:
                contender.out(NOT_REACHED, f"not measured: the budget of {self._arena.budget:g} s ended: {exc.words}")
            else:
                contender.fail(exc)

    def _patience(self) -> float:
        share = max(LEAST_PATIENCE_S, PATIENCE_SHARE * self._arena.budget)
        return min(self._end, time.monotonic() + share)

    def _tell(self, contender: Contender, what: str) -> None:
        label = contender.job.plan.candidate.label
        self._arena.progress(f"{what}: {label}", min(1.0, self.seconds / self._arena.budget))


def fastest(contenders: Sequence[Contender]) -> Contender:
    """The fastest, judged round against round, which a change of the machine's speed does not disturb."""
    best = min(contenders, key=lambda each: median(each.times))
    for contender in contenders:
        if contender.compared_with(best).slower < 0:
            best = contender
    return best


def _is_tied(contender: Contender, best: Contender) -> bool:
    if best.rounds and not contender.rounds:
        return False  # a first look is no match for rounds
    found = contender.compared_with(best)
    within_noise = found.least <= 0 and found.slower <= TIE_WITHIN_NOISE
    return contender is best or found.slower <= TIE or within_noise


def _write_verdict(contender: Contender, best: Contender, winner: Contender) -> None:
    found = contender.compared_with(best)
    if contender is winner:
        contender.status = WINNER
        contender.verdict = (
            "fastest" if winner is best else f"as fast as the fastest ({_share(found.slower)}), and ranked before it"
        )
        return
    if _is_tied(contender, best):
        contender.status = TIED
        contender.verdict = f"within noise of the winner ({_share(contender.compared_with(winner).slower)})"
        return
    early = f" ({contender.verdict})" if contender.verdict else ""
    if best.rounds and not contender.rounds and found.slower <= TIE_WITHIN_NOISE:
        contender.verdict = f"{_share(found.slower)} at the first look, which decides nothing{early}"
        return
    contender.verdict = f"slower by {found.slower:.0%}{early}"


def _format_of(contender: Contender) -> Quantization | None:
    return contender.job.plan.candidate.package.quantization


def _share(value: float) -> str:
    return f"{value:+.1%}"
