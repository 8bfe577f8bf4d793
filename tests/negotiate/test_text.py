"""A negotiation in words: reports on narrow and wide terminals, the text of an error, and the message of a log."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from inference_models.entities import BackendType, ModelMetadata
from inference_models.errors import NoCompatiblePackageError, Rejection
from inference_models.machine.environment import Environment
from inference_models.negotiate.case import Plan, Selection
from inference_models.negotiate.explain import choice_text, choose_packages, find_steps, make_report
from inference_models.negotiate.facts import CandidateReport, Step
from inference_models.negotiate.report import NO_STEPS, package_lines, print_lines, report_lines
from inference_models.negotiate.request import PackageRequest
from inference_models.text import one_line, size_text
from negotiate.negotiations import CATS, ENGINE, GRAPH, HALF, NOTHING, ONLY_ONNX, SCENES, SCRIPT, alone, report_of

FOLDER = Path(__file__).parent / "reports"


class TestGolden:
    @pytest.mark.parametrize("width", [80, 120])
    @pytest.mark.parametrize("name", SCENES)
    def test_the_whole_text(self, name: str, width: int) -> None:
        lines = report_lines(report_of(name), width=width)
        assert "\n".join(lines) + "\n" == (FOLDER / f"{name}-{width}.txt").read_text(encoding="utf-8")
        assert max(map(len, lines)) <= width

    @pytest.mark.parametrize("package_id", ["a1f3", "7c20"])
    def test_the_whole_text_of_one_package(self, package_id: str) -> None:
        lines = package_lines(report_of("only-onnxruntime"), package_id, width=80)
        assert "\n".join(lines) + "\n" == (FOLDER / f"package-{package_id}.txt").read_text(encoding="utf-8")
        assert max(map(len, lines)) <= 80

    def test_every_golden_text_belongs_to_a_report(self) -> None:
        names = {f"{name}-{width}.txt" for name in SCENES for width in (80, 120)}
        assert {path.name for path in FOLDER.iterdir()} == names | {
            *("package-a1f3.txt", "package-7c20.txt", "log-measured.txt"),
            *("error-nothing-installed.txt", "error-engine-for-another-gpu.txt"),
        }

    def test_words_are_never_broken_and_no_terminal_is_narrower_than_sixty_columns(self) -> None:
        lines = report_lines(report_of("engines-for-many-machines"), width=10)
        assert 50 < max(map(len, lines)) <= 60
        path = "/a-very/long-folder/" + "x" * 80
        long = make_report(choose_packages(replace(CATS, source=f"see {path}"), PackageRequest(), ONLY_ONNX))
        assert " " * 17 + path in report_lines(long, width=60)

    def test_lines_are_printed_as_they_are_whatever_the_width_of_the_terminal(self) -> None:
        console = Console(file=io.StringIO(), width=20)
        print_lines(["[bold]head[/]", "x" * 60], console)
        assert console.file.getvalue() == "[bold]head[/]\n" + "x" * 60 + "\n"


def refused(
    model: ModelMetadata, environment: Environment = NOTHING, request: PackageRequest | None = None
) -> NoCompatiblePackageError:
    with pytest.raises(NoCompatiblePackageError) as caught:
        choose_packages(model, request or PackageRequest(), environment)
    return caught.value


def refusal(
    model: ModelMetadata, environment: Environment = NOTHING, request: PackageRequest | None = None
) -> list[str]:
    return str(refused(model, environment, request)).splitlines()


class TestError:
    @pytest.mark.parametrize("name", ["nothing-installed", "engine-for-another-gpu"])
    def test_it_has_the_lines_of_the_report(self, name: str) -> None:
        model, environment, _ = SCENES[name]
        lines = refusal(model, environment)
        assert "\n".join(lines) + "\n" == (FOLDER / f"error-{name}.txt").read_text(encoding="utf-8")
        assert set(lines) <= set(report_lines(report_of(name), width=200))

    def test_the_words_are_made_when_it_is_printed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = []
        monkeypatch.setattr(
            "inference_models.negotiate.explain.choice_text", lambda choice: made.append(choice) or "words"
        )
        error = refused(CATS)
        assert (len(error.rejections), made) == (8, [])
        assert (str(error), error.summary, len(made)) == ("words", "words", 2)
        assert "CATS" not in repr(error)
        assert len(repr(error)) < 120

    def test_it_can_be_handed_to_another_process(self) -> None:
        error = refused(CATS)
        copy = pickle.loads(pickle.dumps(error))
        assert (str(copy), copy.rejections) == (str(error), error.rejections)

    def test_the_best_of_equally_short_ways_comes_first_whatever_the_order_of_the_packages(self) -> None:
        for packages in ((SCRIPT, HALF, GRAPH), (GRAPH, HALF, SCRIPT)):
            steps = [line for line in refusal(alone(*packages)) if line.strip().startswith("then ")]
            assert (
                steps[0] == "                    then weights.onnx of 7c20 (fp32) in ONNX Runtime and 1 more would run"
            )

    def test_nothing_is_promised_where_nothing_helps(self) -> None:
        assert refusal(alone(ENGINE))[-1] == f"  fewest steps   none: {NO_STEPS}"

    def test_an_argument_that_would_help_is_passed(self) -> None:
        lines = refusal(alone(replace(GRAPH, trusted_source=False)), ONLY_ONNX)
        assert "  fewest steps   1. pass allow_untrusted_packages=True" in lines

    def test_many_packages_with_the_same_reasons_are_shown_as_one(self) -> None:
        engines = [replace(ENGINE, package_id=f"e{number}") for number in range(20)]
        lines = refusal(alone(GRAPH, *engines))
        assert "  e0             trt fp16, like 19 more" in lines
        assert len(lines) < 20

    def test_reasons_of_a_package_with_a_long_id_stand_below_it(self) -> None:
        assert refusal(alone(replace(SCRIPT, package_id="0123456789abcdef" * 2)))[5:8] == [
            "  0123456789abcdef0123456789abcdef",
            "                 torch-script fp32, dynamic batch, 12.6 MB",
            "                 needs torch>=2.6; found: not installed",
        ]

    def test_what_signs_an_address_is_not_told(self) -> None:
        model = replace(alone(SCRIPT), model_id="https://x/m.json?X-Signature=canary#cats")
        assert refusal(model)[0] == "https://x/m.json#cats: cannot run here."

    def test_a_package_cannot_write_lines_of_its_own(self) -> None:
        lines = refusal(alone(replace(SCRIPT, package_id="a\n  fewest steps   rm -rf ~\x1b[2J")))
        assert lines[5] == "  a fewest steps rm -rf ~\\x1b[2J"


class TestLog:
    def test_it_tells_what_is_tried_first_and_every_reason_against_the_rest(self) -> None:
        choice = choose_packages(CATS, PackageRequest(), ONLY_ONNX)
        selection = Selection((Plan(choice.admissible[1], threads=1),), "measured")
        assert choice_text(choice, selection) + "\n" == (FOLDER / "log-measured.txt").read_text(encoding="utf-8")

    def test_a_forced_choice_keeps_its_reasons(self) -> None:
        request = PackageRequest(package_id="7c20", device="cuda:0", force=True)
        choice = choose_packages(CATS, request, ONLY_ONNX)
        text = choice_text(choice, Selection((Plan(choice.admissible[0]),), "package id"))
        assert "would run      weights.onnx of 7c20 (fp32) in ONNX Runtime: the package you named\n" in text
        assert "although it needs" in text


TRUST = ("trust", "a trusted source", "an untrusted one")
ONNXRUNTIME = ("runtime", "onnxruntime>=1.19", "not installed")
OPENVINO = ("runtime", "openvino>=2025.0", "not installed")
OPSET = ("opset", "an ONNX Runtime that knows opset 22", "1.19.2")
NOT_WANTED = ("backend", "backend openvino", "onnx")


@pytest.mark.parametrize(
    ("of_onnx", "of_openvino", "expected"),
    [
        pytest.param(
            (TRUST, ONNXRUNTIME),
            (TRUST, OPENVINO),
            [
                "needs a trusted source; found: an untrusted one",
                "needs onnxruntime>=1.19; found: not installed",
                "or openvino>=2025.0; found: not installed",
            ],
            id="what both lack is said once, the rest is an alternative",
        ),
        pytest.param(
            (ONNXRUNTIME, OPSET),
            (OPENVINO,),
            [
                "needs onnxruntime>=1.19; found: not installed",
                "needs an ONNX Runtime that knows opset 22; found: 1.19.2",
                "or with openvino needs openvino>=2025.0; found: not installed",
            ],
            id="an alternative to several things names its runtime",
        ),
        pytest.param(
            (ONNXRUNTIME,),
            (OPENVINO, OPSET),
            [
                "needs onnxruntime>=1.19; found: not installed",
                "or with openvino needs openvino>=2025.0; found: not installed",
                "and an ONNX Runtime that knows opset 22; found: 1.19.2",
            ],
            id="so does an alternative of several things",
        ),
        pytest.param(
            (TRUST, ONNXRUNTIME),
            (TRUST,),
            ["needs a trusted source; found: an untrusted one"],
            id="what one lacks besides is left out where the other lacks nothing else",
        ),
        pytest.param(
            (NOT_WANTED,),
            (OPENVINO,),
            ["needs openvino>=2025.0; found: not installed"],
            id="a runtime that was not asked for is no alternative",
        ),
        pytest.param(
            (NOT_WANTED,), (NOT_WANTED,), ["needs backend openvino; found: onnx"], id="unless there is no other"
        ),
    ],
)
def test_the_runtimes_of_one_package(
    of_onnx: tuple[tuple[str, ...], ...], of_openvino: tuple[tuple[str, ...], ...], expected: list[str]
) -> None:
    report = report_of("only-torch")
    package = report.package("7c20")
    candidates = tuple(
        replace(candidate, rejections=tuple(Rejection("7c20", *reason) for reason in reasons))
        for candidate, reasons in zip(package.candidates, (of_onnx, of_openvino), strict=True)
    )
    changed = replace(report, would_run=None, packages=(replace(package, candidates=candidates),), skipped_packages=())
    lines = report_lines(changed)
    start = next(index for index, line in enumerate(lines) if line.startswith("  7c20 "))
    assert [line.strip() for line in lines[start + 1 : start + 1 + len(expected)]] == expected
    assert lines[start + 1 + len(expected)] == ""


class TestSteps:
    @staticmethod
    def candidate(name: str, *fixes: str | None, rank: int | None = None) -> CandidateReport:
        rejections = tuple(Rejection(name, "check", "x", "y", fix) for fix in fixes)
        return CandidateReport(name, BackendType.ONNX, True, rejections, rank)

    def steps(self, *candidates: CandidateReport) -> list[tuple[tuple[str, ...], list[str]]]:
        found = find_steps(candidates)
        assert all(isinstance(step, Step) for step in found)
        return [(step.fixes, [package_id for package_id, _ in step.makes_run]) for step in found]

    def test_fewest_come_first_and_equally_many_in_the_order_of_the_candidates(self) -> None:
        found = self.steps(self.candidate("a", "1", "2"), self.candidate("b", "3"), self.candidate("c", "4"))
        assert found == [(("3",), ["b"]), (("4",), ["c"]), (("1", "2"), ["a"])]

    def test_the_same_fixes_for_several_are_one_step_and_a_fix_is_told_once(self) -> None:
        assert self.steps(self.candidate("a", "1", "1"), self.candidate("b", "1")) == [(("1",), ["a", "b"])]

    def test_there_are_none_where_a_reason_has_no_fix_or_nothing_has_to_be_done(self) -> None:
        assert self.steps(self.candidate("a", "1", None), self.candidate("b", None)) == []
        assert self.steps(self.candidate("a", rank=1), self.candidate("b", "1", rank=2)) == []


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (7_312_345, "7.3 MB"),
        (999_949_000, "999.9 MB"),
        (999_960_000, "1.0 GB"),
        (1_234_000_000_000, "1,234.0 GB"),
    ],
)
def test_sizes_are_told_as_people_read_them(size: int, text: str) -> None:
    assert size_text(size) == text


def test_a_text_of_a_stranger_stays_on_its_line_and_steers_nothing() -> None:
    assert one_line("a\n  would run  x\x1b[2J\u202eb\t") == "a would run x\\x1b[2J\\u202eb"
