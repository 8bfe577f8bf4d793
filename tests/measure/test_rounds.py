"""Verdicts from recorded times; no process is started and no clock is read."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from inference_models.entities import BackendType, ModelPackageMetadata, Quantization
from inference_models.measure.contest import Contest, ContestSetup
from inference_models.measure.report import notes_on
from inference_models.measure.rounds import SLOWER, Contender, count_quiet_rounds, decide, is_settled, leaving
from inference_models.negotiate.case import Candidate, Plan
from inference_models.record import replace

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.measure.rounds import Ratio


def contenders(*rounds: list[float]) -> list[Contender]:
    """Candidates with one call of so many seconds in each round, in the declared order."""
    package = ModelPackageMetadata("p0", BackendType.ONNX, [], quantization=Quantization.FP32)
    packages = [replace(package, package_id=f"p{number}") for number in range(len(rounds))]
    return [
        Contender(number, Plan(Candidate(each, each.backend)), SLOWER, alive=True, bursts=[[time] for time in times])
        for number, (each, times) in enumerate(zip(packages, rounds, strict=True))
    ]


def decided(*rounds: list[float]) -> list[tuple[str, str]]:
    held = contenders(*rounds)
    decide(held)
    return [(contender.status, contender.verdict) for contender in held]


def notes(held: list[Contender], *, busy: float = 0.0) -> tuple[str, ...]:
    best, _ = decide(held)
    rounds = max(len(each.bursts) for each in held)
    return notes_on(SimpleNamespace(contenders=held, best=best, rounds=rounds, busy=busy, found_nothing=False), 60)


def ratio(rounds: list[float], others: list[float]) -> Ratio:
    first, second = contenders(rounds, others)
    return first.compared_with(second)


def noisy(median: float) -> list[float]:
    """Rounds on a machine whose speed changes from one to the next, for all candidates alike."""
    return list(median * (1 + np.random.default_rng(0).exponential(0.3, 40)))


class TestRatio:
    def test_of_a_machine_that_gets_slower_for_a_while_is_the_same(self) -> None:
        drift = np.concatenate([np.ones(10), np.full(10, 1.9), np.ones(10)])
        found = ratio(list(drift * 0.011), list(drift * 0.010))
        assert found.slower == pytest.approx(0.1)
        assert found.uncertainty == pytest.approx(0, abs=1e-9)

    def test_of_few_rounds_is_not_sure(self) -> None:
        found = ratio([2.0] * 5, [1.0] * 5)
        assert (found.slower, found.always, found.uncertainty) == (1.0, 1.0, math.inf)
        assert ratio([2.0], [1.0]).always == -math.inf

    def test_leaves_out_rounds_of_one_side_only(self) -> None:
        assert ratio([2.0, 2.0, 9.0], [1.0, 1.0]).slower == 1.0

    def test_is_as_uncertain_as_the_notch_of_a_box_plot(self) -> None:
        # matplotlib 3.10, cbook.boxplot_stats: median -/+ 1.57 * IQR / sqrt(n) of the numbers 1 to 16.
        found = ratio([float(number) for number in range(1, 17)], [1.0] * 16)
        assert found.slower + 1 == 8.5
        assert found.uncertainty == pytest.approx(1.57 * 7.5 / 4)

    def test_covers_the_truth_in_about_95_of_100_runs(self) -> None:
        generator = np.random.default_rng(7)
        runs = [generator.exponential(0.3, size=(2, 15)) + 1 for _ in range(400)]  # noise only ever adds
        found = [ratio(list(noise[0]), list(noise[1])) for noise in runs]
        assert sum(each.least <= 0 <= each.slower + each.uncertainty for each in found) >= 0.9 * 400


class TestDecision:
    def test_who_is_faster_by_more_than_nobody_notices_wins(self) -> None:
        assert decided(noisy(1.02), noisy(1.0)) == [("slower", "slower by 2%"), ("winner", "fastest")]

    def test_a_difference_nobody_notices_is_none_and_the_declared_order_decides(self) -> None:
        assert decided(noisy(1.009), noisy(1.0)) == [
            ("winner", "as fast as the fastest (+0.9%), and ranked before it"),
            ("tied", "within noise of the winner (-0.9%)"),
        ]

    def test_a_small_difference_within_the_noise_is_none(self) -> None:
        assert decided([0.9, 1.14] * 20, [1.0] * 40)[0][0] == "winner"

    def test_who_left_early_is_compared_over_the_rounds_it_had(self) -> None:
        drift = [3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0]
        assert decided([each * 1.5 for each in drift[:3]], drift)[0] == ("slower", "slower by 50%")

    def test_who_had_no_rounds_does_not_win_over_who_had_some(self) -> None:
        first, second = contenders([], [1.0] + [0.6] * 20)
        first.first_look, first.verdict = [1.0, 1.01, 1.02], "no rounds: no memory"
        decide([first, second])
        assert second.status == "winner"
        assert first.verdict == "+1.0% at the first look, which decides nothing (no rounds: no memory)"

    def test_without_rounds_for_anybody_the_first_look_decides(self) -> None:
        first, second = contenders([], [])
        first.first_look, second.first_look = [2.0], [1.0]
        assert decide([first, second]) == (second, second)

    def test_nothing_measured_is_no_winner(self) -> None:
        (only,) = contenders([1.0])
        only.status = "crashed"
        assert decide([only]) == (None, None)


class TestWhileItRuns:
    @pytest.mark.parametrize(("busy", "factor", "left"), [(False, 1.5, 1), (True, 1.5, 2), (True, 3.5, 1)])
    def test_only_the_hopeless_leave_early_while_other_programs_disturb(
        self, busy: bool, factor: float, left: int
    ) -> None:
        held = contenders(noisy(factor), noisy(1.0))
        assert len(held) - len(leaving(held, busy=busy)) == left

    def test_one_round_drives_nobody_away(self) -> None:
        assert leaving(contenders([9.0], [1.0]), busy=False) == []

    @pytest.mark.parametrize(
        ("rounds", "busy", "settled"),
        [
            ((noisy(1.05), noisy(1.0)), False, True),
            ((noisy(1.05), noisy(1.0)), True, False),
            ((noisy(1.05)[:11], noisy(1.0)[:11]), False, False),
            (([0.8, 1.3] * 10, [1.0] * 20), False, False),
            ((noisy(1.0),), True, True),
            ((), False, True),
        ],
        ids=["sure", "busy", "few rounds", "noise", "alone", "nobody"],
    )
    def test_it_ends_when_more_rounds_change_nothing(
        self, rounds: tuple[list[float], ...], busy: bool, settled: bool
    ) -> None:
        count = max(map(len, rounds), default=0)
        assert is_settled(contenders(*rounds), count, busy=busy) is settled

    def test_on_a_busy_machine_the_quieter_half_of_the_rounds_counts(self) -> None:
        """Two thirds of the time other programs hold a processor, and two threads wait for each other."""
        one_thread, two_threads = [1.1] * 20 + [1.0] * 10, [2.0] * 20 + [0.6] * 10
        assert decided(one_thread, two_threads)[0][0] == "winner"
        held = contenders(one_thread, two_threads)
        count_quiet_rounds(held)
        assert notes(held, busy=0.4)[0].startswith("other programs used 40% of the processors meanwhile, ")
        assert held[1].status == "winner"
        assert held[1].calls == [2.0] * 5 + [0.6] * 10


def test_a_large_difference_counts_even_where_it_is_not_certain_which_is_said() -> None:
    held = contenders([1.0, 1.3, 1.0, 1.3, 1.0, 1.3, 1.1, 1.3], [1.1] * 8)
    held[0].plan = replace(held[0].plan, threads=2)
    (note,) = notes(held)
    assert note.startswith("not certain: ")
    assert note.endswith("; a larger budget would tell")


def test_spread_is_half_the_interquartile_range_over_the_median() -> None:
    (held,) = contenders([0.8, 0.9, 1.0, 1.1, 1.2])
    assert held.spread == pytest.approx(0.1)


def test_a_number_format_that_promises_nothing_is_not_looked_at_first(tmp_path: Path) -> None:
    held = contenders([1.0], [1.0], [1.0])
    for contender, kind in zip(held, (Quantization.INT8, Quantization.FP32, Quantization.BF16), strict=True):
        package = replace(contender.plan.candidate.package, quantization=kind)
        contender.plan = Plan(Candidate(package, package.backend))
    contest = Contest(held, {}, ContestSetup(tmp_path, ["image"], 1, 60, lambda text, share: None))
    assert [each.position for each in contest._in_turn([0, 1, 2])] == [1, 0, 2]
