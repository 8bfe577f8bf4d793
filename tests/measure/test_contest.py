"""Verdicts from times that are given; no process is started."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from inference_models.entities import Quantization
from inference_models.measure import contest as rules
from inference_models.measure.contender import Contender
from inference_models.measure.contest import Arena, Contest
from inference_models.measure.job import Job
from inference_models.measure.report import SLOWER
from inference_models.measure.summary import notes_on
from inference_models.negotiate.case import Candidate
from inference_models.negotiate.plan import Plan
from measure.packages import asking, classifier

if TYPE_CHECKING:
    from pathlib import Path


def decided(tmp_path: Path, *rounds: list[float], busy: float = 0.0) -> Contest:
    """The contest of candidates with these times per round, in the declared order."""
    asked = asking(*(classifier(tmp_path / f"p{number}") for number in range(len(rounds))))
    contenders = [
        Contender(number, Job(asked.model, Plan(candidate), None, asked.load), SLOWER, rounds=list(times))
        for number, (candidate, times) in enumerate(zip(asked.choice.admissible, rounds, strict=True))
    ]
    for contender in contenders:
        contender.bursts = [[each] for each in contender.rounds]
    held = Contest(contenders, Arena(tmp_path, ["image"], 1, 60, lambda text, share: None))
    held.rounds, held.busy = max(map(len, rounds)), busy
    if busy > rules.BUSY:
        held._count_quiet_rounds()
    held._decide()
    return held


def noisy(median: float) -> list[float]:
    """Rounds on a machine whose speed changes from one to the next, for all candidates alike."""
    return list(median * (1 + np.random.default_rng(0).exponential(0.3, 40)))


def verdicts(held: Contest) -> list[tuple[str, str]]:
    return [(contender.status, contender.verdict) for contender in held._contenders]


def test_who_is_faster_by_more_than_nobody_notices_wins(tmp_path: Path) -> None:
    held = decided(tmp_path, noisy(1.02), noisy(1.0))
    assert verdicts(held) == [("slower", "slower by 2%"), ("winner", "fastest")]


def test_a_difference_nobody_notices_is_none_and_the_declared_order_decides(tmp_path: Path) -> None:
    held = decided(tmp_path, noisy(1.009), noisy(1.0))
    assert verdicts(held) == [
        ("winner", "as fast as the fastest (+0.9%), and ranked before it"),
        ("tied", "within noise of the winner (-0.9%)"),
    ]


def test_a_small_difference_within_the_noise_is_none(tmp_path: Path) -> None:
    held = decided(tmp_path, [0.9, 1.14] * 20, [1.0] * 40)
    assert held.winner.position == 0


def test_a_large_difference_counts_even_where_it_is_not_certain_which_is_said(tmp_path: Path) -> None:
    first = [1.0, 1.3, 1.0, 1.3, 1.0, 1.3, 1.1, 1.3]
    held = decided(tmp_path, first, [1.1] * 8)
    assert held.winner is held.best
    assert any(note.startswith("not certain: ") for note in notes_on(held, held._contenders, 60))


def test_who_left_early_is_compared_over_the_rounds_it_had(tmp_path: Path) -> None:
    drift = [3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    held = decided(tmp_path, [each * 1.5 for each in drift[:3]], drift)
    assert verdicts(held)[0] == ("slower", "slower by 50%")


def test_on_a_busy_machine_the_quieter_half_of_the_rounds_counts(tmp_path: Path) -> None:
    """Two thirds of the time other programs hold a processor, and two threads wait for each other."""
    one_thread = [1.1] * 20 + [1.0] * 10
    two_threads = [2.0] * 20 + [0.6] * 10
    assert decided(tmp_path / "all", one_thread, two_threads).winner.position == 0
    held = decided(tmp_path / "busy", one_thread, two_threads, busy=0.4)
    assert held.winner.position == 1
    assert held.winner.calls == [2.0] * 5 + [0.6] * 10
    assert notes_on(held, held._contenders, 60)[0].startswith("other programs used 40% of the processors meanwhile, ")


@pytest.mark.parametrize(("busy", "factor", "left"), [(False, 1.5, 1), (True, 1.5, 2), (True, 3.5, 1)])
def test_only_the_hopeless_leave_early_while_other_programs_disturb(
    tmp_path: Path, busy: bool, factor: float, left: int
) -> None:
    held = decided(tmp_path, noisy(factor), noisy(1.0))
    held._busy_now = lambda: busy
    for contender in held._contenders:
        contender.alive = True
    held._eliminate()
    assert sum(contender.alive for contender in held._contenders) == left


def test_who_had_no_rounds_does_not_win_over_who_had_some(tmp_path: Path) -> None:
    held = decided(tmp_path, [1.0], [1.0] + [0.6] * 20)
    first = held._contenders[0]
    first.rounds, first.bursts, first.first_look, first.verdict = [], [], [1.0, 1.01, 1.02], "no rounds: no memory"
    first.status = SLOWER
    held._decide()
    assert held.winner.position == 1
    assert (first.status, first.verdict) == (
        SLOWER,
        "+1.0% at the first look, which decides nothing (no rounds: no memory)",
    )


def test_without_rounds_for_anybody_the_first_look_decides(tmp_path: Path) -> None:
    held = decided(tmp_path, [1.0], [1.0])
    for contender, seconds in zip(held._contenders, (2.0, 1.0), strict=True):
        contender.rounds, contender.bursts, contender.first_look = [], [], [seconds]
    held._decide()
    assert held.winner.position == 1


def test_a_number_format_that_promises_nothing_is_not_looked_at_first(tmp_path: Path) -> None:
    held = decided(tmp_path, [1.0], [1.0], [1.0])
    kinds = (Quantization.INT8, Quantization.FP32, Quantization.BF16)
    for contender, kind in zip(held._contenders, kinds, strict=True):
        package = replace(contender.job.plan.candidate.package, quantization=kind)
        contender.job = replace(contender.job, plan=Plan(Candidate(package, package.backend)))
    turns = held._in_turn([0, 1, 2])
    first = next(turns)
    held.reference = first
    assert [each.position for each in (first, *turns)] == [1, 0, 2]
    held.reference = None
    assert [each.position for each in held._in_turn([0, 1, 2])] == [1, 0, 2]


def test_doubt_names_the_setting(tmp_path: Path) -> None:
    held = decided(tmp_path, [1.0, 1.3, 1.0, 1.3, 1.0, 1.3, 1.1, 1.3], [1.1] * 8)
    first = held._contenders[0]
    first.job = replace(first.job, plan=replace(first.job.plan, threads=2))
    (note,) = notes_on(held, held._contenders, 60)
    assert note.startswith("not certain: p0 onnx fp32, 2 threads was ")


def test_nothing_measured_is_no_winner(tmp_path: Path) -> None:
    held = decided(tmp_path, [1.0])
    held._contenders[0].status = "crashed"
    held.best = held.winner = None
    held._decide()
    assert held.winner is None
