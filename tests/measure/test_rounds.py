"""Verdicts from recorded times; no process is started and no clock is read."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from inference_models.entities import BackendType, ModelPackageMetadata, Quantization
from inference_models.measure.contest import Contest, ContestSetup
from inference_models.measure.report import notes_on
from inference_models.measure.rounds import SLOWER, Contender, decide, is_settled, leaving
from inference_models.negotiate.case import Candidate, Plan

if TYPE_CHECKING:
    from pathlib import Path


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


def noisy(median: float) -> list[float]:
    """Rounds on a machine whose speed changes from one to the next, for all candidates alike."""
    return list(median * (1 + np.random.default_rng(0).exponential(0.3, 40)))


class TestDecision:
    def test_who_is_faster_by_more_than_nobody_notices_wins(self) -> None:
        assert decided(noisy(1.02), noisy(1.0)) == [("slower", "slower by 2%"), ("winner", "fastest")]

    def test_a_difference_nobody_notices_is_none_and_the_declared_order_decides(self) -> None:
        assert decided(noisy(1.009), noisy(1.0)) == [
            ("winner", "as fast as the fastest (+0.9%), and ranked before it"),
            ("tied", "within noise of the winner (-0.9%)"),
        ]

    def test_a_small_difference_within_the_noise_is_none(self) -> None:
        assert decided([0.97, 1.07] * 20, [1.0] * 40)[0][0] == "winner"

    def test_what_is_told_of_a_difference_are_the_medians_that_are_printed(self) -> None:
        drift = [3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0]
        assert decided([each * 1.5 for each in drift], drift)[0] == ("slower", "slower by 50%")
        held = contenders([0.0716] * 20, [0.0756] * 20)
        decide(held)
        assert held[1].verdict == "slower by 6%"
        assert [each.median for each in held] == [0.0716, 0.0756]

    def test_who_had_no_rounds_does_not_win_over_who_had_some(self) -> None:
        first, second = contenders([], [1.0] * 20)
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
    @pytest.mark.parametrize(
        ("rounds", "left"),
        [([1.5, 1.5, 1.5], 1), ([1.5, 1.5, 0.9], 0), ([1.2, 1.2, 1.2], 0), ([9.0], 0)],
        ids=["slower in every round", "once as fast", "not by much", "one round"],
    )
    def test_who_is_clearly_slower_in_every_round_leaves(self, rounds: list[float], left: int) -> None:
        assert len(leaving(contenders(rounds, [1.0] * len(rounds)))) == left

    @pytest.mark.parametrize(
        ("rounds", "settled"),
        [
            (([1.1] * 20, [1.0] * 20), True),
            (([1.1] * 11, [1.0] * 11), False),
            (([0.8, 1.3] * 10, [1.0] * 20), False),
            (([1.0] * 20,), True),
            ((), True),
        ],
        ids=["sure", "few rounds", "noise", "alone", "nobody"],
    )
    def test_it_ends_when_more_rounds_change_nothing(self, rounds: tuple[list[float], ...], settled: bool) -> None:
        assert is_settled(contenders(*rounds), max(map(len, rounds), default=0)) is settled

    def test_other_programs_are_told_of_and_the_choice_is_marked(self) -> None:
        (note,) = notes(contenders([1.0] * 20), busy=0.4)
        assert note.startswith("other programs used 40% of the processors meanwhile: ")
        assert "measures again" in note


def test_a_large_difference_counts_even_where_it_is_not_certain_which_is_said() -> None:
    held = contenders([1.0, 1.3, 1.0, 1.3, 1.0, 1.3, 1.1, 1.3], [1.05] * 8)
    (note,) = notes(held)
    assert note.startswith("not certain: ")
    assert note.endswith("; a larger budget would tell")


def test_one_that_was_measured_alone_is_compared_with_nothing() -> None:
    assert decided([1.0] * 2) == [("winner", "nothing to compare it with")]


@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_an_order_of_a_few_calls_is_called_a_guess_where_there_is_an_order(rounds: int) -> None:
    held = contenders([2.0] * rounds, [1.0] * rounds)
    for contender in held:
        contender.first_look = [1.0]
    assert ["guess" in note for note in notes(held)] == [True] * (rounds < 2)
    assert notes(held[:1]) == ()


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
