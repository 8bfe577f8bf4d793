"""Graphs that ask for hours or terabytes are refused when they are loaded, and this process does not pay for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import helper as h

import forked
import hostile_graphs
import tflite_graphs
from inference_models import AutoModel
from inference_models.backends.session import InputHint, SessionRequest
from inference_models.entities import BackendType
from inference_models.errors import CorruptedModelPackageError, NoCompatiblePackageError
from inference_models.loading import trial
from inference_models.machine import child
from inference_models.package.graph_facts import GraphFacts
from inference_models.record import replace
from package.test_onnx_operators import weight

if TYPE_CHECKING:
    from collections.abc import Callable

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("trials")
IMAGE = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize("write", hostile_graphs.REFUSED)
def test_what_the_file_itself_tells_is_refused(write: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(CorruptedModelPackageError):
        AutoModel.from_pretrained(write(tmp_path / "m.onnx"))


def refused(path: Path, found: str, **options: Any) -> None:
    with pytest.raises(CorruptedModelPackageError, match=f"did not come to the end of one run(?s:.)*found: {found}"):
        AutoModel.from_pretrained(path, **options)


LARGE = {*hostile_graphs.TRIED, hostile_graphs.broadcast, hostile_graphs.chosen} - {hostile_graphs.tiled}


@pytest.mark.parametrize(
    "write", sorted(LARGE - {hostile_graphs.looped, hostile_graphs.in_a_branch}, key=lambda write: write.__name__)
)
def test_a_graph_that_needs_more_memory_than_there_is_is_refused(write: Callable[[Path], Path], tmp_path: Path) -> None:
    refused(write(tmp_path / "m.onnx"), "(no memory was left|it took .* MB)")


ENDLESS = [
    hostile_graphs.in_a_branch,
    hostile_graphs.looped,
    hostile_graphs.multiplied_again,
    hostile_graphs.scanned,
]


@pytest.mark.parametrize("write", ENDLESS)
def test_a_graph_that_takes_more_time_than_there_is_is_refused(
    write: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFERENCE_MODELS_TRIAL_SECONDS", "1")
    refused(write(tmp_path / "m.onnx"), "(more than these seconds|no answer within)")


def test_loops_of_other_runtimes_are_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ai_edge_litert")
    monkeypatch.setenv("INFERENCE_MODELS_TRIAL_SECONDS", "1")
    bare = {"labels": ["a", "b", "c"], "model_type": "classifier", "task_type": "classification"}
    path = tflite_graphs.endless(tmp_path / "m.tflite", size=8)
    refused(path, "(more than these seconds|no answer within)", **bare)


@pytest.mark.parametrize("cause", ["a frozen program", "no more processes"])
def test_without_a_process_to_try_it_in_only_what_its_file_bounds_is_opened(
    cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_process(*_: Any, **__: Any) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    if cause == "a frozen program":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    else:
        monkeypatch.setattr(subprocess, "Popen", no_process)
    refused(hostile_graphs.looped(tmp_path / "m.onnx"), r"no process to try it in: .*Loop")
    AutoModel.from_pretrained(constant_sizes(tmp_path / "n.onnx")).close()
    monkeypatch.setenv("INFERENCE_MODELS_TRIAL_SECONDS", "0")
    AutoModel.from_pretrained(computed(tmp_path / "o.onnx")).close()


@pytest.fixture
def no_child(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        def refused(*_: Any, **__: Any) -> None:
            pytest.fail("a child was started")

        monkeypatch.setattr(child, "Child", refused)

    return forbid


def computed(path: Path) -> Path:
    """As exporters write it: a size that is computed from that of the input."""
    nodes = [
        h.make_node("Shape", ["mean"], ["n"]),
        h.make_node("ConstantOfShape", ["n"], ["zeros"]),
        h.make_node("Add", ["mean", "zeros"], ["output0"]),
    ]
    return hostile_graphs.save(path, nodes)


def constant_sizes(path: Path) -> Path:
    nodes = [h.make_node("Expand", ["mean", "n"], ["output0"])]
    return hostile_graphs.save(path, nodes, [hostile_graphs.sizes("n", 1, 3)])


def test_a_file_that_passed_is_not_tried_again(tmp_path: Path, no_child: Callable[[], None]) -> None:
    path = computed(tmp_path / "m.onnx")
    with AutoModel.from_pretrained(path) as model:
        assert model(IMAGE).confidence.shape == (1, 3)
    no_child()
    AutoModel.from_pretrained(path).close()
    (tmp_path / "other").mkdir()
    AutoModel.from_pretrained(shutil.copy(path, tmp_path / "other" / "best.onnx")).close()


def test_graphs_of_one_process_are_tried_in_one_child_and_each_within_its_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    AutoModel.from_pretrained(computed(tmp_path / "a.onnx")).close()
    (first,) = trial._waiting
    AutoModel.from_pretrained(constant_sizes(tmp_path / "b.onnx")).close()
    assert trial._waiting == [first]
    monkeypatch.setenv("INFERENCE_MODELS_TRIAL_SECONDS", "1")
    refused(hostile_graphs.looped(tmp_path / "c.onnx"), "(more than these seconds|no answer within)")
    assert trial._waiting == []
    refused(hostile_graphs.filled(tmp_path / "d.onnx"), "(no memory was left|it took .* MB)")


@pytest.mark.parametrize("seen", [True, False])
def test_a_child_that_ended_while_it_waited_is_replaced(
    seen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    AutoModel.from_pretrained(computed(tmp_path / "a.onnx")).close()
    (first,) = trial._waiting
    first._process.kill()
    first._process.wait()
    if not seen:  # it ends just when it is asked, as it does with the thread that started it
        monkeypatch.setattr(child.Child, "goes_on", lambda *_: True)
    AutoModel.from_pretrained(constant_sizes(tmp_path / "b.onnx")).close()
    (second,) = trial._waiting
    assert second is not first


@forked.NEEDS_FORK
@forked.QUIET
def test_a_forked_process_leaves_the_child_to_the_one_it_comes_from(tmp_path: Path) -> None:
    AutoModel.from_pretrained(computed(tmp_path / "a.onnx")).close()
    (first,) = trial._waiting
    assert forked.child_says(lambda: trial._waiting == [])
    assert first.goes_on(1, 1 << 30)


def test_a_file_that_passed_is_tried_again_at_other_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(trial, "_comes_to_its_end", lambda *request: tried.append(request) or True)
    path = computed(tmp_path / "m.onnx")
    request = SessionRequest(tmp_path, {"weights.onnx": path}, device="cpu", input_hint=InputHint((1, 3, 8, 8)))
    larger = replace(request, free_input_dims={"images": (1, 3, 8000, 8000)})
    other = replace(request, input_hint=InputHint((1, 3, 8, 8), (3, 8000, 8000)))
    for wanted in (request, request, larger, larger, other):
        trial.try_first(BackendType.ONNX, wanted, GraphFacts(metadata={}))
    assert [wanted for _, wanted, _ in tried] == [request, larger, other]


def test_a_graph_that_is_quantised_is_not_loaded_unasked(tmp_path: Path) -> None:
    nodes = [h.make_node("DynamicQuantizeLinear", ["mean"], ["q", "s", "z"])]
    nodes += [h.make_node("DequantizeLinear", ["q", "s", "z"], ["output0"])]
    path = hostile_graphs.save(tmp_path / "fp32.onnx", nodes, [weight(1)])
    with pytest.raises(NoCompatiblePackageError, match='pass quantization="int8"'):
        AutoModel.from_pretrained(path)
    model = AutoModel.from_pretrained(path, quantization="int8")
    assert model.resolved_model.quantization == "int8"


def test_a_file_of_16_bits_loads_where_no_provider_would_be_asked_for_one(tmp_path: Path) -> None:
    nodes = [h.make_node("Cast", ["w"], ["wide"], to=1), h.make_node("ReduceMax", ["wide"], ["z"], keepdims=0)]
    path = hostile_graphs.save(
        tmp_path / "m.onnx", [*nodes, h.make_node("Add", ["mean", "z"], ["output0"])], [weight(10)]
    )
    assert AutoModel.from_pretrained(path, device="cpu").resolved_model.quantization == "fp16"


CALLS = """
import sys
import numpy as np
from limited import LimitedModel
limited = LimitedModel(sys.argv[1], seconds=120)
assert limited(np.zeros((8, 8, 3), np.uint8)).confidence.shape == (1, 3)
limited.seconds = 1
for _ in range(2):
    try:
        limited(np.full((8, 8, 3), 255, np.uint8))
    except TimeoutError as error:
        print(error)
"""


def test_a_call_that_would_never_end_is_ended_by_the_example_with_limits(tmp_path: Path) -> None:
    path = hostile_graphs.awake(tmp_path / "m.onnx")
    examples = str(Path(__file__).parents[2] / "examples")
    command = [sys.executable, "-c", CALLS, str(path)]
    environment = {**os.environ, "PYTHONPATH": examples}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == f"{path}: no answer within 1 s\n" * 2


def test_a_program_that_was_consented_to_is_not_tried(tmp_path: Path, no_child: Callable[[], None]) -> None:
    torch = pytest.importorskip("torch")
    import torch_graphs

    path = tmp_path / "weights.torchscript"
    torch_graphs.save_archive(torch_graphs.Rows(torch.tensor([[0.1, 3.0, 0.2]])), path, example=(1, 3, 64, 64))
    no_child()
    bare: dict[str, Any] = {"labels": ["a", "b", "c"], "model_type": "classifier", "task_type": "classification"}
    AutoModel.from_pretrained(path, **bare, **torch_graphs.consent(tmp_path)).close()
