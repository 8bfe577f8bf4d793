"""Comparing times on a machine that other programs use too.

Candidates take turns: in every round each of them runs a few calls. A round gives each candidate one number, the
*median* of its calls: that is what a caller gets. The least of them would flatter settings with many threads, whose
best case is rare. Two candidates are compared by the median of the *ratios* of their rounds: a machine that gets
slower for a while slows both, and the ratio stays. How sure that is, is said by an interval between order statistics
of the ratios, which supposes nothing about how noise is distributed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SURE = 0.95
LEAST_FOR_INTERVAL = 6
"""Rounds from which the least and the largest ratio enclose the true one with 95 %."""


@dataclass(frozen=True)
class Comparison:
    """How much slower one candidate is than another, as shares: 0.1 is 10 % slower."""

    slower: float
    least: float
    """At least so much, as far as the rounds can say; with too few of them minus infinity."""
    most: float
    """At most so much."""

    @property
    def uncertainty(self) -> float:
        """Half the width of the interval."""
        return (self.most - self.least) / 2


def compare_rounds(rounds: Sequence[float], others: Sequence[float]) -> Comparison:
    """How much slower the candidate of `rounds` is than that of `others`.

    Args:
        rounds: Its time per round.
        others: The same for the other; only the rounds that both ran in are compared.
    """
    ratios = sorted(mine / other for mine, other in zip(rounds, others, strict=False))
    if not ratios:
        return Comparison(0.0, -math.inf, math.inf)
    middle = median(ratios) - 1
    if len(ratios) < LEAST_FOR_INTERVAL:
        return Comparison(middle, -math.inf, math.inf)
    outside = _left_out(len(ratios))
    return Comparison(middle, ratios[outside] - 1, ratios[-1 - outside] - 1)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of `values` lie, between neighbours in proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def spread(rounds: Sequence[float]) -> float:
    """How much the rounds of one candidate differ: half their interquartile range, as a share of their median."""
    if len(rounds) < 2:
        return 0.0
    return (quantile(rounds, 0.75) - quantile(rounds, 0.25)) / 2 / median(rounds)


def _left_out(count: int) -> int:
    """Ordered values that may be left out at each end so that the rest still holds the median with 95 %."""
    outside, below = 0, 0.5**count
    while True:
        # `below`: the chance that at most `outside` of the values lie under the true median.
        following = below + math.comb(count, outside + 1) * 0.5**count
        if 2 * following > 1 - SURE:
            return outside
        outside, below = outside + 1, following
