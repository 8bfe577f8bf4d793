"""Finds the fastest candidate from recorded times, on a machine that other programs use too.

Candidates take turns: in every round each of them runs a few calls, so that a machine that gets slower for a while
slows all of them. A round counts with the *median* of its calls, which is what a caller gets, and a candidate with the
median of its rounds. These numbers are the ones that are printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.negotiate.case import Plan

WINNER, TIED, SLOWER, NOT_REACHED = "winner", "tied", "slower", "not reached"
HOPELESS = 3.0
"""So many times slower than the best at the first look: no rounds."""
LEAST_ROUNDS = 12
BUSY = 0.15
"""Share of the processors that other programs use, from which on a choice is marked, to be measured again."""
TIE = 0.01
"""A difference too small to matter: the declared order decides."""
TIE_WITHIN_NOISE = 0.03
"""The same, where the noise is larger than the difference."""
_CLEARLY_SLOWER = 0.25
"""Slower by so much, in every round slower than the fastest usually is: no more rounds."""
_LEAST_TO_LEAVE = 3


@dataclass
class Contender:
    """Measurements of one plan so far."""

    position: int
    """Its place in the declared order."""
    plan: Plan
    status: str = NOT_REACHED
    verdict: str = ""
    alive: bool = False
    """Whether it takes part in the next round."""
    first_look: list[float] = field(default_factory=list)
    """Seconds of the first calls that count."""
    bursts: list[list[float]] = field(default_factory=list)
    """Seconds of all calls of each round, from the first round on."""
    load_seconds: float | None = None
    peak_memory: int | None = None
    device: str | None = None
    last_lines: tuple[str, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether anything is known about its speed."""
        return self.status in {SLOWER, TIED, WINNER}

    @property
    def times(self) -> list[float]:
        """The median of each round; where there was no round, that of the first look."""
        return [median(burst) for burst in self.bursts or [self.first_look] if burst]

    @property
    def calls(self) -> list[float]:
        """Seconds of all calls that count."""
        return [each for burst in self.bursts for each in burst] or self.first_look

    @property
    def median(self) -> float:
        """Seconds of one call."""
        return median(self.times)

    @property
    def spread(self) -> float:
        """How much its rounds differ: half their interquartile range, as a share of their median; 0 of one round."""
        low, high = np.quantile(self.times, (0.25, 0.75))
        return float(high - low) / 2 / self.median

    def slower_than(self, other: Contender) -> float:
        """How much slower it is than another, as a share: 0.1 is 10 %."""
        return self.median / other.median - 1

    def noise_with(self, other: Contender) -> float:
        """How much the rounds of the two differ, one by one: half the interquartile range of their ratios."""
        ratios = [mine / its for mine, its in zip(self.times, other.times, strict=False)]
        low, high = np.quantile(ratios, (0.25, 0.75))
        return float(high - low) / 2


def leaving(alive: Sequence[Contender]) -> list[Contender]:
    """Contenders that are clearly slower than the fastest, so that the time goes to close ones."""
    best = min(alive, key=lambda each: each.median)
    if len(best.bursts) < _LEAST_TO_LEAVE:
        return []
    return [
        each
        for each in alive
        if each.slower_than(best) > _CLEARLY_SLOWER and min(each.times) > best.median + best.spread
    ]


def is_settled(alive: Sequence[Contender], rounds: int) -> bool:
    """Whether more rounds would change nothing: the fastest is alone, or beyond the noise of all others."""
    if not alive or rounds < LEAST_ROUNDS:
        return not alive
    best = min(alive, key=lambda each: each.median)
    others = [each for each in alive if each is not best]
    return all(each.slower_than(best) > max(TIE_WITHIN_NOISE, 2 * each.noise_with(best)) for each in others)


def decide(contenders: Sequence[Contender]) -> tuple[Contender | None, Contender | None]:
    """The fastest, and the winner: the fastest, or what is as fast and comes first in the declared order.

    Writes the verdicts. Both are None where nothing was measured.
    """
    measured = [contender for contender in contenders if contender.measured]
    if not measured:
        return None, None
    longest = max(len(contender.bursts) for contender in measured)
    finalists = [contender for contender in measured if len(contender.bursts) >= longest - 1]
    best = min(finalists, key=lambda each: each.median)
    winner = min((each for each in measured if _is_tied(each, best)), key=lambda each: each.position)
    for contender in measured:
        _write_verdict(contender, best, winner, others=len(measured) > 1)
    return best, winner


def _is_tied(contender: Contender, best: Contender) -> bool:
    if best.bursts and not contender.bursts:
        return False  # a first look is no match for rounds
    slower = contender.slower_than(best)
    return slower <= TIE or slower <= min(TIE_WITHIN_NOISE, contender.noise_with(best))


def _write_verdict(contender: Contender, best: Contender, winner: Contender, *, others: bool) -> None:
    slower = contender.slower_than(best)
    early = f" ({contender.verdict})" if contender.verdict else ""
    if contender is winner:
        contender.status, contender.verdict = WINNER, "fastest" if others else "nothing to compare it with"
        if winner is not best:
            contender.verdict = f"as fast as the fastest ({slower:+.1%}), and ranked before it"
    elif _is_tied(contender, best):
        contender.status = TIED
        contender.verdict = f"within noise of the winner ({contender.slower_than(winner):+.1%})"
    elif best.bursts and not contender.bursts and slower <= TIE_WITHIN_NOISE:
        contender.verdict = f"{slower:+.1%} at the first look, which decides nothing{early}"
    else:
        contender.verdict = f"slower by {slower:.0%}{early}"
