"""Finds the fastest candidate from recorded times, on a machine that other programs use too.

Candidates take turns: in every round each of them runs a few calls. A round counts with the *median* of its calls,
which is what a caller gets. Two candidates are compared by the median of the *ratios* of their rounds: a machine that
gets slower for a while slows both, and the ratio stays. How sure that is, is said by the notch of a box plot (McGill,
Tukey and Larsen 1978): 1.57 interquartile ranges over the root of the number of rounds, about a 95 % interval.
"""

from __future__ import annotations

import math
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
"""Share of the processors that other programs use, from which on only the hopeless leave early and no time is saved:
what has many threads suffers most, and may be the fastest as soon as the others are done."""
TIE = 0.01
"""A difference too small to matter: the declared order decides."""
TIE_WITHIN_NOISE = 0.03
"""The same, where the noise is larger than the difference."""
_CLEARLY_SLOWER = 0.25
"""Slower by so much in each of the first rounds: no more of them."""
_SURE_ENOUGH = 0.01
"""An uncertainty that more rounds need not make smaller."""
_LEAST_FOR_NOTCH = 6
"""Rounds from which the interquartile range says something."""
_NOTCH = 1.57


@dataclass(frozen=True)
class Ratio:
    """How much slower one candidate is than another, as shares: 0.1 is 10 % slower."""

    slower: float
    always: float
    """At least so much in each round; with less than two of them minus infinity."""
    uncertainty: float
    """Of `slower`; with too few rounds infinity."""

    @property
    def least(self) -> float:
        """At least so much slower, as far as the rounds can say."""
        return self.slower - self.uncertainty


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
    quiet: frozenset[int] | None = None
    """The rounds that count; None: all of them."""
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
        """One number per round that counts; where there was no round, that of the first look."""
        counting = [median(self.bursts[number]) for number in self._counting()]
        return counting or ([median(self.first_look)] if self.first_look else [])

    @property
    def calls(self) -> list[float]:
        """Seconds of all calls that count."""
        return [each for number in self._counting() for each in self.bursts[number]] or self.first_look

    @property
    def spread(self) -> float:
        """How much its rounds differ: half their interquartile range, as a share of their median."""
        return _interquartile(self.times) / 2 / median(self.times)

    def compared_with(self, other: Contender) -> Ratio:
        """How much slower it is than another, over the rounds that both ran in."""
        common = [number for number in self._counting() if number < len(other.bursts)]
        pairs = [(median(self.bursts[each]), median(other.bursts[each])) for each in common]
        ratios = [mine / its for mine, its in pairs or zip(self.times[:1], other.times[:1], strict=True)]
        enough = len(common) >= _LEAST_FOR_NOTCH
        return Ratio(
            slower=median(ratios) - 1,
            always=min(ratios) - 1 if len(common) > 1 else -math.inf,
            uncertainty=_NOTCH * _interquartile(ratios) / math.sqrt(len(ratios)) if enough else math.inf,
        )

    def _counting(self) -> list[int]:
        """Numbers of the rounds that count; where it left before the first of them, all it has."""
        known = range(len(self.bursts))
        return [number for number in known if self.quiet is None or number in self.quiet] or list(known)


def fastest(contenders: Sequence[Contender]) -> Contender:
    """The fastest, judged round against round."""
    best = min(contenders, key=lambda each: median(each.times))
    for contender in contenders:
        if contender.compared_with(best).slower < 0:
            best = contender
    return best


def leaving(alive: Sequence[Contender], *, busy: bool) -> list[Contender]:
    """Contenders that are clearly slower than the fastest, so that the time goes to close ones.

    Args:
        alive: Those that took part in the last round.
        busy: Other programs use the processors: only what is more than three times slower leaves.
    """
    best = fastest(alive)
    others = [(contender, contender.compared_with(best)) for contender in alive if contender is not best]
    if busy:
        return [contender for contender, ratio in others if ratio.always > HOPELESS - 1]
    return [
        contender for contender, ratio in others if ratio.always > _CLEARLY_SLOWER or ratio.least > TIE_WITHIN_NOISE
    ]


def is_settled(alive: Sequence[Contender], rounds: int, *, busy: bool) -> bool:
    """Whether more rounds would change nothing."""
    if not alive or rounds < LEAST_ROUNDS:
        return not alive
    best = fastest(alive)
    others = [contender.compared_with(best) for contender in alive if contender is not best]
    return not others or (not busy and all(ratio.uncertainty <= _SURE_ENOUGH for ratio in others))


def count_quiet_rounds(contenders: Sequence[Contender]) -> None:
    """Let the faster half of the rounds count: those in which other programs disturbed least."""
    longest = max((len(contender.bursts) for contender in contenders), default=0)
    finalists = [contender for contender in contenders if len(contender.bursts) >= max(1, longest - 1)]
    shared = min((len(contender.bursts) for contender in finalists), default=0)
    if shared < 2 * _LEAST_FOR_NOTCH:
        return
    slowness = [sum(math.log(median(each.bursts[number])) for each in finalists) for number in range(shared)]
    quiet = frozenset(sorted(range(shared), key=slowness.__getitem__)[: shared // 2])
    for contender in contenders:
        contender.quiet = quiet


def decide(contenders: Sequence[Contender]) -> tuple[Contender | None, Contender | None]:
    """The fastest, and the winner: the fastest, or what is as fast and comes first in the declared order.

    Writes the verdicts. Both are None where nothing was measured.
    """
    measured = [contender for contender in contenders if contender.measured]
    if not measured:
        return None, None
    longest = max(len(contender.bursts) for contender in measured)
    best = fastest([contender for contender in measured if len(contender.bursts) >= longest - 1])
    winner = min((each for each in measured if _is_tied(each, best)), key=lambda each: each.position)
    for contender in measured:
        _write_verdict(contender, best, winner)
    return best, winner


def _is_tied(contender: Contender, best: Contender) -> bool:
    if best.bursts and not contender.bursts:
        return False  # a first look is no match for rounds
    ratio = contender.compared_with(best)
    within_noise = ratio.least <= 0 and ratio.slower <= TIE_WITHIN_NOISE
    return contender is best or ratio.slower <= TIE or within_noise


def _write_verdict(contender: Contender, best: Contender, winner: Contender) -> None:
    slower = contender.compared_with(best).slower
    early = f" ({contender.verdict})" if contender.verdict else ""
    if contender is winner:
        contender.status, contender.verdict = WINNER, "fastest"
        if winner is not best:
            contender.verdict = f"as fast as the fastest ({slower:+.1%}), and ranked before it"
    elif _is_tied(contender, best):
        contender.status = TIED
        contender.verdict = f"within noise of the winner ({contender.compared_with(winner).slower:+.1%})"
    elif best.bursts and not contender.bursts and slower <= TIE_WITHIN_NOISE:
        contender.verdict = f"{slower:+.1%} at the first look, which decides nothing{early}"
    else:
        contender.verdict = f"slower by {slower:.0%}{early}"


def _interquartile(values: Sequence[float]) -> float:
    low, high = np.quantile(values, (0.25, 0.75))
    return float(high - low)
