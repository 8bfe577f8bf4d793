"""Times candidates against each other within a budget of seconds: a first look at each, then rounds.

A *first look* opens a candidate in its own process, calls it until it is warm, and compares its answers with those of
the reference. What crashes, hangs, raises or answers differently is out. The others take turns in *rounds* until the
fastest is known or the budget ends; see `rounds`.
"""

from __future__ import annotations

import time
from collections.abc import Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from inference_models import config
from inference_models.errors import BaseInferenceModelsError, InvalidParameterError
from inference_models.files.prepared import prepared
from inference_models.machine.child import FAILED, HUNG, Child, ChildFailedError
from inference_models.machine.usage import OtherPrograms, available_memory
from inference_models.measure.answers import Judgement, has_gate, judge_answers, read_answers
from inference_models.measure.job import NotSerializableError
from inference_models.measure.rounds import HOPELESS, NOT_REACHED, SLOWER, decide, is_settled, leaving
from inference_models.parity.compare import gate_between
from inference_models.parity.raw import RawDeviation
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from inference_models.entities import Quantization
    from inference_models.measure.job import Job
    from inference_models.measure.rounds import Contender
    from inference_models.predictions.container import Prediction

DISAGREES, UNJUDGED = "disagrees", "not judged"
WORKER = "inference_models.measure.worker:Worker"
LOOKS_SHARE = 0.7
"""Of the budget, for first looks; the rest is for rounds."""
ANSWERS_SHARE = 0.2
"""Of the budget, for comparing answers."""
PATIENCE_SHARE = 0.3
"""Of the budget, for one candidate to open."""
LEAST_PATIENCE_S = 5.0
MEMORY_SHARE = 0.8
"""Of the memory that is free, for one candidate."""
ALL_MEMORY_SHARE = 0.5
"""The same, for all that are open at a time."""
WARM_S = 0.2
BURST_S = 0.08
"""A round gives each candidate calls for about so long."""
MOST_CALLS = 40
MOST_ROUNDS = 40
_COLD_AGAIN_S = 0.05
"""Calls shorter than this feel that another process ran in between, so the first of a burst is not counted."""
_SETTLE_S = 0.05
"""Threads of a pool that has nothing to do any more spin for so long before they sleep."""
_OUTPUT_PICTURES = 4
"""For so many the raw outputs are compared where nothing was found."""
_END_S = 0.2
"""To end the processes."""


class ContestSetup(Record, frozen=True):
    """Folder, pictures, budget and callbacks of a contest."""

    folder: Path
    """Private; the pictures are in it."""
    pictures: Sequence[str]
    """Paths; the first `timed` of them are what is timed, all of them are what answers are compared on."""
    timed: int
    """0: the first, until it is known in which of them the model finds most."""
    budget: float
    progress: Callable[[str, float], None]
    """Gets what happens now, and the share of the budget that is used."""
    asked_for: frozenset[Quantization] = frozenset()
    """Number formats that the caller named: they may win although there is no gate to judge them by."""


class Contest:
    """One measurement. `run` once."""

    def __init__(self, contenders: Sequence[Contender], jobs: Mapping[int, Job], arena: ContestSetup) -> None:
        self.contenders = contenders
        self._jobs = jobs
        """By position."""
        self._arena = arena
        self._children: dict[int, Child] = {}
        """Those that are open, by position."""
        self._start = time.monotonic()
        self._end = self._start + arena.budget - min(_END_S, arena.budget / 10)
        self._free_memory = available_memory()
        self._others = OtherPrograms()
        self._processor_seconds = 0.0
        """Of the processes that have ended."""
        self._answers: list[Prediction] = []
        """Of the reference."""
        self._timed = range(max(1, arena.timed))
        """The pictures that are timed."""
        self._outputs: str | None = None
        """File with raw outputs of the reference, where it found nothing on the pictures."""
        self.pictures_compared = len(arena.pictures)
        self.reference: Contender | None = None
        """Whose answers those of the others are compared with."""
        self.best: Contender | None = None
        """The fastest; None: nothing was measured."""
        self.winner: Contender | None = None
        """The fastest, or what is as fast and comes first in the declared order."""
        self.rounds = 0
        self.busy = 0.0
        """Share of the machine's processors that other programs used meanwhile."""
        self.found_nothing = False
        """Whether the pictures showed the reference nothing that could be compared."""

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
            for contender in self.contenders:
                self._close(contender)
        self.busy = self._others.share(self._processor_seconds)
        self.best, self.winner = decide(self.contenders)

    def _look_at_all(self, looks: Sequence[int]) -> None:
        until = self._start + LOOKS_SHARE * self._arena.budget
        for contender in self._in_turn(looks):
            if time.monotonic() >= (self._end if self.reference is None else until):
                contender.verdict = f"not measured: the budget of {self._arena.budget:g} s ended before"
                continue
            self._tell(contender, "opening")
            with self._failures_kept(contender):
                self._look(contender)
            self._make_room()

    def _in_turn(self, looks: Sequence[int]) -> Iterator[Contender]:
        """Until there is a reference, those first whose number format says how far answers may be apart."""
        pending = [self.contenders[number] for number in looks]
        while pending:
            gated = (each for each in pending if self.reference is None and has_gate(_format_of(each)))
            contender = next(gated, pending[0])
            pending.remove(contender)
            yield contender

    def _look(self, contender: Contender) -> None:
        self._open(contender)
        warm = self._ask(contender, "run first", op="run", times=2, seconds=WARM_S)["times"]
        self._compare_answers(contender, warm[-1])
        contender.first_look = self._ask(contender, "run", op="run", times=3, image=self._timed[0])["times"]
        contender.status, contender.alive = SLOWER, True
        time.sleep(_SETTLE_S)
        best = min(other.median for other in self.contenders if other.measured)
        if min(contender.first_look) > HOPELESS * best:
            self._drop(contender, f"more than {HOPELESS:g} times slower at the first look")

    def _open(self, contender: Contender) -> None:
        job = self._jobs[contender.position].to_json()
        memory = None if self._free_memory is None else int(self._free_memory * MEMORY_SHARE)
        variables = {"INFERENCE_HOME": str(config.cache_directory())}
        try:
            child = Child(WORKER, life=self._arena.budget + 30, memory=memory, variables=variables)
        except OSError as exc:
            raise ChildFailedError(FAILED, f"its process could not be started: {exc.strerror or exc}") from exc
        self._children[contender.position] = child
        opened = self._ask(contender, "opened", op="open", job=job, images=list(self._arena.pictures))
        contender.load_seconds, contender.device = opened["seconds"], opened["device"]

    def _compare_answers(self, contender: Contender, seconds: float) -> None:
        """Keep the answers of the first contender that gets here; hold those of the others against them.

        Raises:
            ChildFailedError: they disagree, or cannot be read.
        """
        if self.reference is None:
            share = ANSWERS_SHARE * self._arena.budget / len(self.contenders)
            most = min(len(self._arena.pictures), int(share / max(seconds, 1e-6)))
            self.pictures_compared = max(len(self._timed), most)
        stated = self._ask(contender, "asked for answers", op="answers", images=self.pictures_compared)["answers"]
        try:
            answers = read_answers(stated)
        except (InvalidParameterError, AttributeError, ImportError, KeyError, TypeError, ValueError) as exc:
            raise ChildFailedError(FAILED, f"its answers cannot be read: {exc}") from exc
        if self.reference is None:
            self._become_reference(contender, answers)
            return
        judgement = self._judged(contender, self.reference, answers)
        if judgement.beyond:
            raise ChildFailedError(DISAGREES, f"disagrees with the reference: {'; '.join(judgement.beyond)}")
        if judgement.unjudged and not self._may_win_unjudged(contender, self.reference):
            about = f"about {seconds * 1e3:.3g} ms at the first look"
            raise ChildFailedError(UNJUDGED, f"cannot win, its answers are not judged: {judgement.unjudged}; {about}")

    def _become_reference(self, contender: Contender, answers: list[Prediction]) -> None:
        kind = _format_of(contender)
        judgement = judge_answers(answers, answers, (kind, kind))
        if judgement.beyond:  # not even the same as itself: it holds NaN
            raise ChildFailedError(FAILED, f"its answers are none: {'; '.join(judgement.beyond)}")
        self.found_nothing = judgement.found_nothing
        found = [len(each) if isinstance(each, Sized) else 0 for each in answers]
        if not self._arena.timed and len(found) == self.pictures_compared and max(found):
            most = found.index(max(found))
            self._timed = range(most, most + 1)
        if self.found_nothing:
            path, images = str(self._arena.folder / "outputs.npz"), min(_OUTPUT_PICTURES, self.pictures_compared)
            saved = self._ask(contender, "asked for outputs", op="save_outputs", images=images, path=path)["saved"]
            self._outputs = path if saved else None
        self.reference, self._answers = contender, answers

    def _judged(self, contender: Contender, reference: Contender, answers: list[Prediction]) -> Judgement:
        kinds = _format_of(reference), _format_of(contender)
        judgement, gate = judge_answers(self._answers, answers, kinds), gate_between(*kinds)
        if not judgement.found_nothing or gate is None or self._outputs is None:
            return judgement
        found = self._ask(contender, "asked for outputs", op="compare_outputs", path=self._outputs)
        outputs = msgspec.convert(found, prepared(RawDeviation))
        if outputs.note is not None:
            return Judgement(unjudged=f"{judgement.unjudged}, and {outputs.note}")
        return Judgement((*outputs.not_finite(), *outputs.beyond(gate)))

    def _may_win_unjudged(self, contender: Contender, reference: Contender) -> bool:
        """Whether it is the same package in the same runtime as the reference, or what the caller asked for."""
        mine, other = (
            (each.plan.candidate.package.package_id, each.plan.candidate.runtime, each.plan.execution_providers)
            for each in (contender, reference)
        )
        kind = _format_of(contender)
        return mine == other or (kind in self._arena.asked_for and not has_gate(kind))

    def _hold_rounds(self) -> None:
        while self.rounds < MOST_ROUNDS:
            alive = [contender for contender in self.contenders if contender.alive]
            if is_settled(alive, self.rounds):
                return
            if time.monotonic() + sum(max(contender.times[-1] * 2, 0.1) for contender in alive) > self._end:
                return
            turn = self.rounds % len(alive)
            for contender in alive[turn:] + alive[:turn]:
                self._tell(contender, f"round {self.rounds + 1}")
                with self._failures_kept(contender):
                    self._run_round(contender, self._timed[self.rounds % len(self._timed)])
            self.rounds += 1
            alive = [contender for contender in alive if contender.alive]
            for contender in leaving(alive) if alive else ():
                self._drop(contender)

    def _run_round(self, contender: Contender, image: int) -> None:
        """One burst of calls.

        Raises:
            ChildFailedError: it did not get through.
        """
        expected = contender.times[-1]
        count = min(max(round(BURST_S / expected), 1 if expected > 1 else 2), MOST_CALLS)
        extra = 1 if expected < _COLD_AGAIN_S else 0
        patience = max(LEAST_PATIENCE_S, 20 * expected * (count + extra))
        times = self._ask(contender, "run", patience, op="run", times=count + extra, image=image)["times"]
        contender.bursts.append(times[extra:])
        time.sleep(_SETTLE_S)

    def _ask(self, contender: Contender, doing: str, patience: float | None = None, **message: Any) -> dict[str, Any]:
        if patience is None:
            patience = max(LEAST_PATIENCE_S, PATIENCE_SHARE * self._arena.budget)
        child = self._children[contender.position]
        answer = child.ask(doing, message, deadline=min(self._end, time.monotonic() + patience))
        contender.peak_memory = child.peak_memory
        return answer

    def _make_room(self) -> None:
        """Close the slowest while all that are open take more than their share of the memory."""
        while self._free_memory is not None:
            alive = [contender for contender in self.contenders if contender.alive]
            used = sum(contender.peak_memory or 0 for contender in alive)
            if len(alive) < 2 or used <= ALL_MEMORY_SHARE * self._free_memory:
                return
            slowest = max(alive, key=lambda each: each.median)
            self._drop(slowest, "no rounds: there was no memory for so many")

    @contextmanager
    def _failures_kept(self, contender: Contender) -> Iterator[None]:
        """A candidate that fails is out; the others go on."""
        try:
            yield
        except NotSerializableError as exc:
            self._out(contender, FAILED, str(exc))
        except BaseInferenceModelsError as exc:
            self._out(contender, FAILED, exc.summary)
        except ChildFailedError as exc:
            ended = exc.status == HUNG and time.monotonic() >= self._end
            if ended and contender.measured:
                self._close(contender)
            elif ended:
                budget = f"the budget of {self._arena.budget:g} s ended"
                self._out(contender, NOT_REACHED, f"not measured: {budget}: {exc.words}")
            else:
                self._out(contender, exc.status, exc.words)

    def _out(self, contender: Contender, status: str, verdict: str) -> None:
        """It cannot win; what it wrote last is kept."""
        contender.status, contender.verdict = status, verdict
        child = self._close(contender)
        contender.last_lines = child.last_lines if child is not None else ()

    def _drop(self, contender: Contender, verdict: str = "") -> None:
        """No more rounds; what was measured stays."""
        contender.verdict = verdict or contender.verdict
        self._close(contender)

    def _close(self, contender: Contender) -> Child | None:
        contender.alive = False
        child = self._children.pop(contender.position, None)
        if child is not None:
            child.close()
            self._processor_seconds += child.processor_seconds
        return child

    def _tell(self, contender: Contender, what: str) -> None:
        self._arena.progress(f"{what}: {contender.plan.candidate.label}", min(1.0, self.seconds / self._arena.budget))


def _format_of(contender: Contender) -> Quantization | None:
    return contender.plan.candidate.package.quantization
