"""Contests with recorded durations: the children are scripts, and the clock moves only by what they take."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from inference_models.entities import BackendType, ModelPackageMetadata, Quantization
from inference_models.machine.child import CRASHED, FAILED, HUNG, TOO_MUCH_MEMORY, ChildFailedError
from inference_models.measure import contest as rules
from inference_models.measure.contest import Contest, ContestSetup
from inference_models.measure.job import NotSerializableError
from inference_models.measure.report import notes_on, rows_of
from inference_models.measure.rounds import Contender
from inference_models.negotiate.case import Candidate, Plan
from inference_models.predictions.classification import ClassificationPrediction
from inference_models.predictions.detections import Detections

if TYPE_CHECKING:
    from pathlib import Path

FP32, INT8 = Quantization.FP32, Quantization.INT8


def classes(*scores: float) -> list[Any]:
    return [ClassificationPrediction(np.array([int(np.argmax(scores))]), np.array([scores], np.float32))]


def box(score: float) -> list[Any]:
    return [Detections(np.array([[0, 0, 9, 9]], np.float32), np.zeros(1, np.int64), np.array([score], np.float32))]


@dataclass
class Script:
    """What a child does."""

    seconds: float = 0.01
    """Of each call."""
    answers: list[Any] = field(default_factory=lambda: classes(0.9, 0.1))
    outputs: dict[str, Any] = field(default_factory=lambda: {"note": None, "outputs": []})
    fails: dict[str, Exception] = field(default_factory=dict)
    """By operation."""
    opens: float = 0.5
    memory: int = 1 << 20
    kind: Quantization = FP32
    package: str = ""
    job: Exception | None = None
    asked: list[str] = field(default_factory=list)


@dataclass
class World:
    """A clock, and the children that were started and not closed."""

    folder: Path
    scripts: list[Script] = field(default_factory=list)
    now: float = 0.0
    living: int = 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def hold(self, *scripts: Script, budget: float = 60.0, asked_for: frozenset[Quantization] = frozenset()) -> Contest:
        self.scripts = list(scripts)
        names = [script.package or f"p{number}" for number, script in enumerate(scripts)]
        packages = [
            ModelPackageMetadata(name, BackendType.ONNX, [], quantization=script.kind)
            for name, script in zip(names, scripts, strict=True)
        ]
        held = [Contender(number, Plan(Candidate(each, each.backend))) for number, each in enumerate(packages)]
        jobs = {number: SimpleNamespace(to_json=lambda number=number: self.job(number)) for number in range(len(held))}
        arena = ContestSetup(self.folder, ["a.npy", "b.npy"], 1, budget, lambda text, share: None, asked_for)
        contest = Contest(held, jobs, arena)
        contest.run(range(len(held)))
        assert self.living == 0
        return contest

    def job(self, number: int) -> str:
        if self.scripts[number].job is not None:
            raise self.scripts[number].job
        return str(number)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    made = World(tmp_path)

    class ScriptedChild:
        last_lines = ("last words",)
        processor_seconds = 0.0
        peak_memory: int | None = None

        def __init__(self, *_: object, **__: object) -> None:
            self.open = True
            made.living += 1

        def ask(self, doing: str, message: dict[str, Any], *, deadline: float) -> dict[str, Any]:
            if message["op"] == "open":
                self.script = made.scripts[int(message["job"])]
            script = self.script
            script.asked.append(message["op"])
            self.peak_memory = script.memory
            times = [script.seconds] * message.get("times", 2)
            made.now += script.opens if message["op"] == "open" else sum(times)
            if made.now > deadline:
                made.now = deadline
                raise ChildFailedError(HUNG, f"no answer within 9.0 s while it was {doing}")
            if message["op"] in script.fails:
                raise script.fails[message["op"]]
            stated = [each.to_dict() for each in script.answers]
            return {"times": times, "seconds": script.opens, "device": "cpu", "answers": stated, "saved": 1} | (
                script.outputs if message["op"] == "compare_outputs" else {}
            )

        def close(self) -> None:
            made.living -= self.open
            self.open = False

    monkeypatch.setattr(rules, "Child", ScriptedChild)
    monkeypatch.setattr(rules, "time", made)
    monkeypatch.setattr(rules, "OtherPrograms", lambda: SimpleNamespace(share=lambda children: 0.0))
    monkeypatch.setattr(rules, "available_memory", lambda: 1 << 30)
    return made


def verdicts(contest: Contest) -> list[tuple[str, str]]:
    return [(contender.status, contender.verdict) for contender in contest.contenders]


def test_the_fastest_wins_and_who_is_clearly_slower_has_few_rounds(world: World) -> None:
    held = world.hold(Script(seconds=0.02), Script(seconds=0.01))
    assert verdicts(held) == [("slower", "slower by 100%"), ("winner", "fastest")]
    assert [len(contender.bursts) for contender in held.contenders] == [3, 12]
    slow, fast = sorted(rows_of(held, ()), key=lambda row: row.package_id)
    assert (fast.timing.median_ms, fast.timing.rounds, fast.timing.slower) == (pytest.approx(10), 12, 0)
    assert (slow.timing.slower, slow.load_seconds, slow.peak_memory, slow.device) == (
        pytest.approx(1),
        0.5,
        1 << 20,
        "cpu",
    )
    assert notes_on(held, 60) == ()


def test_the_answer_is_the_same_for_the_same_times_whatever_the_order_of_the_looks(world: World) -> None:
    seconds = (0.0100, 0.0104, 0.0098, 0.0125)
    found = {world.hold(*(Script(seconds=each) for each in seconds)).winner.position for _ in range(3)}
    assert found == {2}


def test_what_is_hopeless_at_the_first_look_has_no_rounds(world: World) -> None:
    held = world.hold(Script(), Script(seconds=0.031))
    assert verdicts(held)[1] == ("slower", "slower by 210% (more than 3 times slower at the first look)")
    assert world.scripts[1].asked.count("run") == 2


@pytest.mark.parametrize(
    ("script", "status", "verdict"),
    [
        (
            Script(fails={"run": ChildFailedError(CRASHED, "it was ended by SIGABRT while it was run first")}),
            "crashed",
            "it was ended by SIGABRT while it was run first",
        ),
        (
            Script(fails={"open": ChildFailedError(TOO_MUCH_MEMORY, "it took 2 MB of 1 MB")}),
            "too much memory",
            "it took 2 MB of 1 MB",
        ),
        (
            Script(fails={"run": ChildFailedError(FAILED, "RuntimeError: no such op")}),
            "failed",
            "RuntimeError: no such op",
        ),
        (Script(opens=20.0), "hung", "no answer within 9.0 s while it was opened"),
        (Script(job=NotSerializableError("it needs other models")), "failed", "it needs other models"),
        (
            Script(answers=classes(0.8, 0.2)),
            "disagrees",
            "disagrees with the reference: scores differ by up to 0.1000 (allowed: 0.001)",
        ),
        (
            Script(answers=[]),
            "not judged",
            (
                "cannot win, its answers are not judged: it gives nothing that can be compared; "
                "about 10 ms at the first look"
            ),
        ),
        (
            Script(answers=classes(0.1, 0.9), kind=INT8),
            "disagrees",
            (
                "disagrees with the reference: 0% of the classes with a score above 0.5 are the same "
                "(int8 has no gate; at least 90% must be)"
            ),
        ),
    ],
    ids=["crash", "memory", "raises", "hangs", "objects", "other answers", "no answers", "int8"],
)
def test_what_fails_or_answers_otherwise_is_out_and_says_why(
    world: World, script: Script, status: str, verdict: str
) -> None:
    held = world.hold(Script(), script)
    assert held.winner.position == 0
    assert held.reference.position == 0
    assert verdicts(held)[1] == (status, verdict)
    (row,) = [row for row in rows_of(held, ()) if row.status == status]
    assert row.timing is None
    assert row.last_lines == (() if script.job else ("last words",))


def test_where_nothing_can_be_measured_there_is_no_winner(world: World) -> None:
    held = world.hold(Script(fails={"open": ChildFailedError(CRASHED, "it ended")}))
    assert (held.winner, held.best, held.reference) == (None, None, None)


def test_answers_that_are_no_numbers_are_no_reference(world: World) -> None:
    held = world.hold(Script(answers=classes(float("nan"), 0.1)), Script())
    assert verdicts(held)[0] == ("failed", "its answers are none: 2 numbers of the answers are not finite")
    assert held.reference.position == 1


class TestNothingFound:
    def test_raw_outputs_decide_and_that_is_said(self, world: World) -> None:
        apart = {"note": None, "outputs": [{"name": "o", "max_abs": 1.0, "max_rel": 0.5, "not_finite": 0}]}
        held = world.hold(
            *(Script(answers=box(0.02), outputs=each) for each in (Script().outputs, Script().outputs, apart))
        )
        assert [contender.status for contender in held.contenders[:2]] == ["winner", "tied"]
        assert verdicts(held)[2] == (
            "disagrees",
            "disagrees with the reference: output 'o' differs by up to 0.5 of its largest magnitude (allowed: 0.001)",
        )
        assert notes_on(held, 60) == (
            (
                "the model found nothing on these pictures, so that only raw outputs could be compared; "
                "pass pictures of your own with --image"
            ),
        )

    def test_outputs_that_cannot_be_compared_judge_nobody(self, world: World) -> None:
        other = Script(answers=box(0.02), outputs={"note": "it has 2 outputs, the reference 1", "outputs": []})
        held = world.hold(Script(answers=box(0.02)), other)
        assert held.contenders[1].verdict.startswith(
            "cannot win, its answers are not judged: nothing was found on these pictures, and it has 2 outputs"
        )
        assert notes_on(held, 60)[-1].startswith("nobody can say whether 1 of 2 settings answer alike: they cannot win")

    @pytest.mark.parametrize(("asked_for", "status"), [(frozenset(), "not judged"), (frozenset({INT8}), "winner")])
    def test_a_format_without_a_gate_may_win_only_where_it_was_named(
        self, world: World, asked_for: frozenset[Quantization], status: str
    ) -> None:
        fast = Script(answers=box(0.02), kind=INT8, seconds=0.001)
        held = world.hold(Script(answers=box(0.02)), fast, asked_for=asked_for)
        assert held.contenders[1].status == status

    def test_another_setting_of_the_same_package_may_always(self, world: World) -> None:
        first = Script(answers=[], package="a")
        held = world.hold(first, replace(first, seconds=0.005, asked=[]))
        assert held.winner.position == 1


class TestBudget:
    def test_that_is_too_short_is_said(self, world: World) -> None:
        held = world.hold(*(Script(opens=2.0) for _ in range(4)), budget=8.0)
        missing = [verdict for status, verdict in verdicts(held) if status == "not reached"]
        assert missing == ["not measured: the budget of 8 s ended before"]
        assert notes_on(held, 8)[0] == (
            "the budget of 8 s was too short: 1 of 4 settings were not measured, and one of them may be faster; "
            "try --budget 16s"
        )

    def test_that_ends_while_one_is_opened_says_so(self, world: World) -> None:
        held = world.hold(Script(opens=3.0), budget=1.0)
        assert verdicts(held) == [
            ("not reached", "not measured: the budget of 1 s ended: no answer within 9.0 s while it was opened")
        ]

    def test_that_ends_after_the_first_looks_leaves_a_guess(self, world: World) -> None:
        held = world.hold(Script(opens=0.1, seconds=0.4), Script(opens=0.1, seconds=0.3), budget=6.0)
        assert held.winner.position == 1
        assert held.rounds == 0
        assert notes_on(held, 6) == ("the budget ended after a few calls of each: the order of the times is a guess",)


def test_memory_that_is_not_there_for_all_leaves_the_fastest_open(world: World) -> None:
    held = world.hold(*(Script(memory=400 << 20, seconds=each) for each in (0.012, 0.010)))
    assert verdicts(held)[0] == ("slower", "slower by 20% (no rounds: there was no memory for so many)")
    assert held.winner.position == 1


def test_whatever_is_raised_no_child_is_left(world: World) -> None:
    calls = count()

    def sleep(_: float) -> None:
        if next(calls) == 3:
            raise KeyboardInterrupt

    world.sleep = sleep
    with pytest.raises(KeyboardInterrupt):
        world.hold(Script(), Script())
    assert world.living == 0
