from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_models.measure.statistics import compare_rounds, quantile, spread


def test_a_machine_that_gets_slower_for_a_while_changes_nothing() -> None:
    drift = np.concatenate([np.ones(10), np.full(10, 1.9), np.ones(10)])
    found = compare_rounds(list(drift * 0.011), list(drift * 0.010))
    assert found.slower == pytest.approx(0.1)
    assert found.uncertainty == pytest.approx(0, abs=1e-9)


def test_few_rounds_say_nothing_for_sure() -> None:
    found = compare_rounds([2.0] * 5, [1.0] * 5)
    assert (found.slower, found.least, found.most) == (1.0, -math.inf, math.inf)


def test_rounds_of_one_side_only_are_left_out() -> None:
    assert compare_rounds([2.0, 2.0, 9.0], [1.0, 1.0]).slower == 1.0


def test_nothing_to_compare_is_no_difference_known_by_nobody() -> None:
    found = compare_rounds([], [1.0])
    assert (found.slower, found.least, found.most) == (0.0, -math.inf, math.inf)


@pytest.mark.parametrize(("count", "least", "most"), [(6, 1, 6), (9, 2, 8), (12, 3, 10), (20, 6, 15), (50, 18, 33)])
def test_the_interval_is_that_of_the_tables_for_the_sign_test(count: int, least: int, most: int) -> None:
    # Ranks (from 1) of the 95 % interval of a median, from printed tables of the binomial distribution with p = 0.5.
    found = compare_rounds([1.0 + rank for rank in range(1, count + 1)], [1.0] * count)
    assert (found.least, found.most) == (pytest.approx(least), pytest.approx(most))


def test_the_interval_holds_the_truth_in_about_95_of_100_runs() -> None:
    generator = np.random.default_rng(7)
    hits = 0
    for _ in range(2000):
        noise = generator.exponential(0.3, size=(2, 15)) + 1  # noise on a computer only ever adds
        found = compare_rounds(list(noise[0]), list(noise[1]))
        hits += found.least <= 0 <= found.most
    assert hits >= 0.94 * 2000


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=40), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_quantiles_are_those_of_numpy(values: list[float], share: float) -> None:
    assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)))


def test_spread_is_half_the_interquartile_range_over_the_median() -> None:
    assert spread([0.8, 0.9, 1.0, 1.1, 1.2]) == pytest.approx(0.1)
    assert spread([1.0]) == 0.0
