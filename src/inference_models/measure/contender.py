"""One plan while it is measured: its process, its times, and why it is out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from inference_models.measure.child import Child, ChildFailedError
from inference_models.measure.report import FAILED, NOT_REACHED, SLOWER, TIED, WINNER
from inference_models.measure.statistics import compare_rounds

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.measure.child import Limits
    from inference_models.measure.job import Job
    from inference_models.measure.statistics import Comparison
    from inference_models.predictions.container import Prediction

BURST_S = 0.08
"""A round gives each candidate calls for about so long."""
MOST_CALLS = 40
_COLD_AGAIN_S = 0.05
"""Calls shorter than this feel that another process ran in between, so the first of a burst is not counted."""
LEAST_PATIENCE_S = 5.0


@dataclass
class Contender:
    """What is known of one plan so far."""

    position: int
    """Its place in the declared order."""
    job: Job
    status: str = NOT_REACHED
    verdict: str = ""
    child: Child | None = None
    first_look: list[float] = field(default_factory=list)
    """Seconds of the first calls that count."""
    bursts: list[list[float]] = field(default_factory=list)
    """Seconds of all calls of each round."""
    rounds: list[float] = field(default_factory=list)
    """Median seconds of each round, from the first round on."""
    quiet: frozenset[int] | None = None
    """The rounds that count; None: all of them."""
    answers: list[Prediction] = field(default_factory=list)
    load_seconds: float | None = None
    peak_memory: int | None = None
    device: str | None = None
    last_lines: tuple[str, ...] = ()
    alive: bool = False
    """Whether it takes part in the next round."""

    @property
    def measured(self) -> bool:
        """Whether anything is known about its speed."""
        return self.status in {SLOWER, TIED, WINNER}

    @property
    def times(self) -> list[float]:
        """One number per round; where there was no round, that of the first look."""
        counting = [self.rounds[number] for number in self._counting()]
        return counting or ([median(self.first_look)] if self.first_look else [])

    @property
    def calls(self) -> list[float]:
        """Seconds of all calls that count."""
        return [each for number in self._counting() for each in self.bursts[number]] or self.first_look

    def start(self, job: Path, limits: Limits) -> None:
        """Write the job, and start the process that will read it.

        Raises:
            ChildFailedError: there is no room, or no process can be started.
            CannotBeHandedOnError: the job cannot be written down.
        """
        text = self.job.to_json()
        try:
            job.write_text(text, "utf-8")
            self.child = Child(limits)
        except OSError as exc:
            raise ChildFailedError(FAILED, f"its process could not be started: {exc.strerror or exc}") from exc

    def ask(self, doing: str, message: dict[str, Any], deadline: float) -> dict[str, Any]:
        """The child's answer.

        Raises:
            ChildFailedError: there is none.
        """
        if self.child is None:
            raise ChildFailedError(FAILED, "its process was not started")
        answer = self.child.ask(doing, message, deadline=deadline)
        self.peak_memory = answer.get("peak") or self.peak_memory
        return answer

    def run_round(self, image: int, end: float) -> None:
        """One burst of calls.

        Raises:
            ChildFailedError: it did not get through.
        """
        expected = self.times[-1]
        count = min(max(round(BURST_S / expected), 1 if expected > 1 else 2), MOST_CALLS)
        extra = 1 if expected < _COLD_AGAIN_S else 0
        patience = max(LEAST_PATIENCE_S, 20 * expected * (count + extra))
        deadline = min(end, time.monotonic() + patience)
        message = {"op": "run", "times": count + extra, "image": image}
        seconds = [each / 1e9 for each in self.ask("run", message, deadline)["times"]][extra:]
        self.bursts.append(seconds)
        self.rounds.append(median(seconds))
        if self.child is not None:
            self.child.settle()

    def compared_with(self, other: Contender) -> Comparison:
        """How much slower it is than another."""
        common = [number for number in self._counting() if number < len(other.rounds)]
        if not common:
            return compare_rounds(self.times[:1], other.times[:1])
        return compare_rounds([self.rounds[each] for each in common], [other.rounds[each] for each in common])

    def _counting(self) -> list[int]:
        """Numbers of the rounds that count; where it left before the first of them, all it has."""
        known = range(len(self.rounds))
        return [number for number in known if self.quiet is None or number in self.quiet] or list(known)

    def drop(self, verdict: str = "") -> None:
        """No more rounds; what was measured stays."""
        self.verdict = verdict or self.verdict
        self.end()

    def fail(self, error: ChildFailedError) -> None:
        """Out, for a reason."""
        self.out(error.status, error.words)

    def out(self, status: str, verdict: str) -> None:
        """Out, with what it said last."""
        self.status, self.verdict = status, verdict
        self.end()

    def end(self) -> None:
        """End its process."""
        self.alive = False
        if self.child is not None:
            self.child.close()
            if not self.measured:
                self.last_lines = self.child.last_lines
            self.child = None
