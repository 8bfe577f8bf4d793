"""Median times on a noisy machine: variants take turns within one run, and only their ratio is reported."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def medians_ms(variants: Mapping[str, Callable[[], object]], *, rounds: int = 60, warmup: int = 5) -> dict[str, float]:
    """Median milliseconds per variant; each round runs every variant once, in turn."""
    for _ in range(warmup):
        for variant in variants.values():
            variant()
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, variant in variants.items():
            start = time.perf_counter()
            variant()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def paired_ratio(
    numerator: Callable[[], object], denominator: Callable[[], object], *, rounds: int = 60, warmup: int = 5
) -> tuple[float, float, float]:
    """(median ms of each, median of the ratios of neighbours in time)."""
    for _ in range(warmup):
        numerator()
        denominator()
    pairs = []
    for _ in range(rounds):
        start = time.perf_counter()
        numerator()
        middle = time.perf_counter()
        denominator()
        pairs.append((middle - start, time.perf_counter() - middle))
    above = statistics.median(first for first, _ in pairs) * 1e3
    below = statistics.median(second for _, second in pairs) * 1e3
    return above, below, statistics.median(first / second for first, second in pairs)


def table(rows: list[tuple[str, ...]], header: tuple[str, ...]) -> str:
    """A Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)
