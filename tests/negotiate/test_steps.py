from __future__ import annotations

from inference_models.entities import BackendType
from inference_models.errors import Rejection
from inference_models.negotiate.report import CandidateReport, Step
from inference_models.negotiate.steps import find_steps

ONNX, OPENVINO, TRT = BackendType.ONNX, BackendType.OPENVINO, BackendType.TRT


def candidate(name: str, *fixes: str | None, backend: BackendType = ONNX, rank: int | None = None) -> CandidateReport:
    rejections = tuple(Rejection(name, "check", "x", "y", fix) for fix in fixes)
    return CandidateReport(name, backend, True, rejections, rank)


def test_fewest_steps_come_first_and_equally_many_in_the_order_of_the_candidates() -> None:
    found = find_steps([candidate("a", "1", "2"), candidate("b", "3"), candidate("c", "4")])
    assert found == (
        Step(("3",), (("b", ONNX),)),
        Step(("4",), (("c", ONNX),)),
        Step(("1", "2"), (("a", ONNX),)),
    )


def test_the_same_fixes_for_several_are_one_step() -> None:
    found = find_steps([candidate("a", "1"), candidate("b", "1"), candidate("b", "1", backend=OPENVINO)])
    assert found == (Step(("1",), (("a", ONNX), ("b", ONNX), ("b", OPENVINO))),)


def test_a_fix_that_mends_two_things_is_one_step() -> None:
    assert find_steps([candidate("a", "1", "1", "2")]) == (Step(("1", "2"), (("a", ONNX),)),)


def test_a_candidate_with_a_reason_nothing_mends_has_no_steps() -> None:
    assert find_steps([candidate("a", "1", None, backend=TRT), candidate("b", None)]) == ()


def test_what_runs_needs_no_steps_even_where_reasons_were_overridden() -> None:
    assert find_steps([candidate("a", rank=1), candidate("b", "1", rank=2)]) == ()
