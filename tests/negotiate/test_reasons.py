"""What the runtimes of one package lack, in words."""

from __future__ import annotations

from inference_models.entities import BackendType
from inference_models.errors import Rejection
from inference_models.negotiate.reasons import package_lines, told_together
from inference_models.negotiate.report import CandidateReport

TRUST = ("trust", "a trusted source", "an untrusted one")
ONNXRUNTIME = ("runtime", "onnxruntime>=1.19", "not installed")
OPENVINO = ("runtime", "openvino>=2025.0", "not installed")
OPSET = ("opset", "an ONNX Runtime that knows opset 22", "1.19.2")


def candidate(backend: BackendType, *reasons: tuple[str, str, str], rank: int | None = None) -> CandidateReport:
    native = backend is BackendType.ONNX
    rejections = tuple(Rejection("p", *reason, None, None if native else backend) for reason in reasons)
    return CandidateReport("p", backend, native, rejections, rank)


def lines(*candidates: CandidateReport) -> list[str]:
    return package_lines(candidates)


def test_one_runtime_tells_every_reason() -> None:
    assert lines(candidate(BackendType.ONNX, TRUST, ONNXRUNTIME)) == [
        "needs a trusted source; found: an untrusted one",
        "needs onnxruntime>=1.19; found: not installed",
    ]


def test_what_both_lack_is_said_once_and_the_rest_is_an_alternative() -> None:
    assert lines(candidate(BackendType.ONNX, TRUST, ONNXRUNTIME), candidate(BackendType.OPENVINO, TRUST, OPENVINO)) == [
        "needs a trusted source; found: an untrusted one",
        "needs onnxruntime>=1.19; found: not installed",
        "or openvino>=2025.0; found: not installed",
    ]


def test_an_alternative_to_several_things_names_its_runtime() -> None:
    assert lines(candidate(BackendType.ONNX, ONNXRUNTIME, OPSET), candidate(BackendType.OPENVINO, OPENVINO)) == [
        "needs onnxruntime>=1.19; found: not installed",
        "needs an ONNX Runtime that knows opset 22; found: 1.19.2",
        "or with openvino needs openvino>=2025.0; found: not installed",
    ]
    assert lines(candidate(BackendType.ONNX, ONNXRUNTIME), candidate(BackendType.OPENVINO, OPENVINO, OPSET)) == [
        "needs onnxruntime>=1.19; found: not installed",
        "or with openvino needs openvino>=2025.0; found: not installed",
        "and an ONNX Runtime that knows opset 22; found: 1.19.2",
    ]


def test_what_one_of_them_lacks_besides_is_left_out_when_the_other_lacks_nothing_else() -> None:
    both = candidate(BackendType.ONNX, TRUST, ONNXRUNTIME), candidate(BackendType.OPENVINO, TRUST)
    assert lines(*both) == ["needs a trusted source; found: an untrusted one"]


def test_a_runtime_the_caller_does_not_want_is_no_alternative() -> None:
    unwanted = ("backend", "backend openvino", "onnx")
    assert lines(candidate(BackendType.ONNX, unwanted), candidate(BackendType.OPENVINO, OPENVINO)) == [
        "needs openvino>=2025.0; found: not installed"
    ]
    assert lines(candidate(BackendType.ONNX, unwanted)) == ["needs backend openvino; found: onnx"]


def test_a_package_that_runs_says_with_what_and_what_the_other_runtime_lacks() -> None:
    assert lines(candidate(BackendType.ONNX, rank=1), candidate(BackendType.OPENVINO, OPENVINO)) == [
        "runs with onnx, choice 1",
        "with openvino: needs openvino>=2025.0; found: not installed",
    ]
    assert lines(candidate(BackendType.ONNX, ONNXRUNTIME), candidate(BackendType.OPENVINO, rank=2)) == [
        "with onnx: needs onnxruntime>=1.19; found: not installed",
        "runs with openvino, choice 2",
    ]


def test_what_was_overridden_is_still_told() -> None:
    assert lines(candidate(BackendType.ONNX, OPSET, rank=1)) == [
        "runs with onnx, choice 1",
        "although it needs an ONNX Runtime that knows opset 22; found: 1.19.2",
    ]


def test_four_that_say_the_same_are_told_as_one_at_the_place_of_the_first() -> None:
    assert told_together(["a1", "b1", "a2", "c1", "a3", "b2", "a4", "b3"], lambda item: item[0]) == [
        ["a1", "a2", "a3", "a4"],
        ["b1"],
        ["c1"],
        ["b2"],
        ["b3"],
    ]
