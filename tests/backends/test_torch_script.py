from __future__ import annotations

import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch", reason="TorchScript runs in PyTorch")

import torch
from torch import Tensor, nn

import torch_graphs
from backends.contract import SessionContract
from inference_models.arrays import ANY_SHAPE, TensorSpec
from inference_models.backends import torch_script as backend
from inference_models.backends.session import InputHint, SessionRequest
from inference_models.errors import (
    CorruptedModelPackageError,
    EnvironmentConfigurationError,
    MissingDependencyError,
    ModelRuntimeError,
)
from inference_models.machine.hardware import usable_cpus

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.backends.session import Session

FIXED = InputHint((None, 3, 8, 8), (3, 8, 8))
OPEN = InputHint((None, 3, None, None), (3, 8, 8))


def request_for(path: Path, **changes: object) -> SessionRequest:
    return SessionRequest(directory=path.parent, files={"weights.torchscript": path}, **changes)


def opened(module: nn.Module, folder: Path, *, example: tuple[int, ...] | None = None, **changes: object) -> Session:
    path = torch_graphs.save_archive(module, folder / "weights.torchscript", example=example)
    return backend.open_session(request_for(path, **changes))


class TestTorchScriptSession(SessionContract):
    @pytest.fixture(params=["traced", "scripted"])
    def session(self, tmp_path: Path, request: pytest.FixtureRequest) -> Session:
        example = (1, 3, 8, 8) if request.param == "traced" else None
        return opened(torch_graphs.convolution(), tmp_path, example=example, input_hint=FIXED)


class TestWhatIsKnownBeforeTheFirstRun:
    @pytest.mark.parametrize("batch", [None, 4])
    def test_names_come_from_forward_and_shapes_from_the_package_and_a_run_with_zeros(
        self, tmp_path: Path, batch: int | None
    ) -> None:
        session = opened(torch_graphs.convolution(), tmp_path, input_hint=InputHint((batch, 3, 8, 8), (3, 8, 8)))
        assert session.inputs == (TensorSpec("images", (batch, 3, 8, 8), "float32"),)
        assert session.outputs == (TensorSpec("output0", (batch, 4, 6, 6), "float32"),)

    def test_the_module_may_have_any_name_in_forward(self, tmp_path: Path) -> None:
        class Odd(nn.Module):
            def forward(this, x: Tensor) -> Tensor:  # noqa: N805 - what this is about
                return x + 1

        assert [spec.name for spec in opened(Odd(), tmp_path).inputs] == ["x"]

    def test_where_the_size_is_open_axes_that_follow_it_are_open(self, tmp_path: Path) -> None:
        session = opened(torch_graphs.convolution(), tmp_path, input_hint=OPEN)
        assert (session.inputs[0].shape, session.outputs[0].shape) == ((None, 3, None, None), (None, 4, None, None))

    def test_a_network_traced_for_one_batch_and_one_size_is_found_out(self, tmp_path: Path) -> None:
        class Flat(nn.Module):
            def forward(self, images: Tensor) -> Tensor:
                return images.reshape(1, 192)

        session = opened(Flat(), tmp_path, example=(1, 3, 8, 8), input_hint=OPEN)
        assert (session.inputs[0].shape, session.outputs[0].shape) == ((1, 3, 8, 8), (1, 192))

    def test_without_a_size_the_first_run_tells(self, tmp_path: Path) -> None:
        session = opened(torch_graphs.convolution(), tmp_path)
        assert (session.inputs[0].shape, session.outputs) == (ANY_SHAPE, ())
        session.run({"images": np.zeros((2, 3, 8, 8), np.float32)})
        assert [(spec.name, spec.shape, spec.dtype) for spec in session.outputs] == [
            ("output0", (None, None, None, None), "float32")
        ]

    def test_an_input_the_network_does_not_take_is_refused_with_both_values(self, tmp_path: Path) -> None:
        with pytest.raises(CorruptedModelPackageError) as caught:
            opened(torch_graphs.convolution(), tmp_path, input_hint=InputHint((1, 8, 8, 3), (8, 8, 3)))
        lines = str(caught.value).splitlines()
        assert lines[0] == "weights.torchscript: the network does not take the input that its package states."
        assert lines[1].startswith(
            "needs a network for images (1, 8, 8, 3) float32; found: Given groups=1, weight of size"
        )
        assert lines[2] == (
            "correct network_input and forward_pass in inference_config.json, or export the model again"
        )


class Nested(nn.Module):
    """Tensors in a dictionary, a tuple and a list, and one that is not there."""

    def forward(self, x: Tensor) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor | None], list[Tensor]]:
        return {"b": x + 1, "a": x + 2}, (x + 3, None), [x + 4, x + 5]


def test_nested_outputs_are_flattened_depth_first_in_their_own_order(tmp_path: Path) -> None:
    result = opened(Nested(), tmp_path).run({"x": np.zeros((1, 1, 1, 1), np.float32)})
    assert {name: float(value) for name, value in result.items()} == {f"output{index}": index + 1 for index in range(5)}


def test_an_answer_that_is_no_tensor_is_refused(tmp_path: Path) -> None:
    class Count(nn.Module):
        def forward(self, x: Tensor) -> int:
            return x.shape[0]

    with pytest.raises(ModelRuntimeError) as caught:
        opened(Count(), tmp_path).run({"x": np.zeros((1, 1, 1, 1), np.float32)})
    assert str(caught.value) == (
        "the network answers with something that is no tensor.\n"
        "needs tensors, or tuples, lists and dictionaries of them; found: int"
    )


class TestFeedsAndAnswers:
    def test_answers_are_tensors_and_the_same_for_arrays_and_tensors(self, tmp_path: Path) -> None:
        session = opened(torch_graphs.convolution(), tmp_path, input_hint=FIXED)
        images = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32)
        results = [session.run({"images": feed})["output0"] for feed in (images, torch.from_numpy(images))]
        assert all(isinstance(result, torch.Tensor) and not result.requires_grad for result in results)
        assert all(torch.equal(result, results[0]) for result in results)

    def test_a_tensor_that_fits_is_not_copied(self, tmp_path: Path) -> None:
        session = opened(torch_graphs.convolution(), tmp_path, input_hint=FIXED)
        array = np.zeros((2, 3, 8, 8), np.float32)
        tensor = torch.from_numpy(array)
        assert session._placed(tensor) is tensor
        assert session._placed(array).data_ptr() == array.ctypes.data

    def test_an_answer_never_lies_in_the_memory_of_the_feed(self, tmp_path: Path) -> None:
        class Same(nn.Module):
            def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
                return x, x[:, 0]

        feed = np.ones((2, 3, 8, 8), np.float32)
        result = opened(Same(), tmp_path).run({"x": feed})
        feed[:] = 7
        assert [float(answer.max()) for answer in result.values()] == [1, 1]

    def test_weights_in_bfloat16_take_and_give_float32(self, tmp_path: Path) -> None:
        module = torch_graphs.convolution()
        images = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32)
        expected = module(torch.from_numpy(images))
        session = opened(module.to(torch.bfloat16), tmp_path, input_hint=FIXED)
        assert (session.inputs[0].dtype, session.outputs[0].dtype) == ("float32", "float32")
        # bfloat16 has 8 bits of precision.
        torch.testing.assert_close(session.run({"images": images})["output0"], expected, atol=0.1, rtol=0.05)

    def test_what_the_interpreter_says_is_the_last_line_of_its_trace(self, tmp_path: Path) -> None:
        class Picky(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                if x.shape[0] > 2:
                    raise ValueError("three are too many")
                return x

        session = opened(Picky(), tmp_path)
        with pytest.raises(ModelRuntimeError) as caught:
            session.run({"x": np.zeros((3, 1, 1, 1), np.float32)})
        assert str(caught.value) == (
            "PyTorch failed while running the graph on x (3, 1, 1, 1) float32.\n"
            "needs x of any shape; found: builtins.ValueError: three are too many"
        )


class TestRefusals:
    def test_a_network_that_takes_something_else_than_tensors(self, tmp_path: Path) -> None:
        class Listed(nn.Module):
            def forward(self, images: list[Tensor], scale: float) -> Tensor:
                return images[0] * scale

        with pytest.raises(CorruptedModelPackageError) as caught:
            opened(Listed(), tmp_path)
        assert str(caught.value) == (
            "weights.torchscript: the network does not take tensors alone.\n"
            "needs a forward method that takes one or more tensors; found: images: List[Tensor], scale: float\n"
            "export the model so that its forward method takes a batch of images as one tensor"
        )

    def test_a_device_that_is_not_there_is_replaced_only_where_that_is_allowed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        with pytest.raises(EnvironmentConfigurationError) as caught:
            opened(torch_graphs.convolution(), tmp_path, device="cuda:1")
        assert str(caught.value) == (
            "device 'cuda:1' cannot be used through PyTorch here.\n"
            f"needs device 'cuda:1' in this build of PyTorch {torch.__version__}; found: cpu\n"
            "device='cpu', or install the build of PyTorch for this machine: https://pytorch.org/get-started/locally"
        )
        session = opened(torch_graphs.convolution(), tmp_path, device="cuda:1", allow_fallback=True)
        assert session.running_on == "cpu"
        assert caplog.messages == ["PyTorch cannot use device 'cuda:1' (it finds cpu); the CPU is used."]

    def test_an_archive_whose_operators_pytorch_does_not_know(self, tmp_path: Path) -> None:
        with pytest.raises(CorruptedModelPackageError) as caught:
            backend.open_session(request_for(with_operator(tmp_path, b"torch.linear_(")))
        lines = str(caught.value).splitlines()
        assert lines[0] == f"weights.torchscript: PyTorch {torch.__version__} cannot open the archive."
        assert lines[1] == (
            "needs an archive that torch.jit.save of this version of PyTorch or an older one wrote; "
            "found: Unknown builtin op: aten::linear_"
        )
        assert lines[2] == 'export the model again, or pip install -U "torch>=2.6"'

    def test_an_archive_with_operators_of_torchvision_where_that_is_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "torchvision", None)
        with pytest.raises(MissingDependencyError) as caught:
            backend.open_session(request_for(with_operator(tmp_path, b"ops.torchvision.nms(")))
        assert str(caught.value) == (
            "this TorchScript package cannot run here: it uses operators of torchvision.\n"
            "needs torchvision; found: not installed\n"
            "pip install torchvision"
        )


def with_operator(folder: Path, operator: bytes) -> Path:
    """An archive that calls `operator` where `torch.relu(` was."""
    whole = torch_graphs.save_archive(torch_graphs.convolution(), folder / "whole" / "weights.torchscript")
    changed = folder / "weights.torchscript"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(changed, "w") as target:
        for entry in source.infolist():
            target.writestr(entry, source.read(entry).replace(b"torch.relu(", operator))
    return changed


@pytest.mark.parametrize(("asked", "expected"), [(1, 1), (None, usable_cpus())])
def test_the_process_uses_as_many_threads_as_the_request_says(tmp_path: Path, asked: int | None, expected: int) -> None:
    before = torch.get_num_threads()
    try:
        opened(torch_graphs.convolution(), tmp_path, threads=asked)
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)


def test_first_runs_of_many_threads_learn_the_same_outputs(tmp_path: Path) -> None:
    session = opened(torch_graphs.convolution(), tmp_path)
    feed = {"images": np.ones((1, 3, 8, 8), np.float32)}
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: session.run(feed)["output0"], range(24)))
    assert all(torch.equal(result, results[0]) for result in results)
    assert len(session.outputs) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device here")
def test_on_a_cuda_device_feeds_and_answers_lie_there(tmp_path: Path) -> None:
    session = opened(torch_graphs.convolution(), tmp_path, input_hint=FIXED)
    assert session.running_on == "cuda:0"
    feed = torch.ones((2, 3, 8, 8), device="cuda:0")
    assert session._placed(feed) is feed
    answer = session.run({"images": feed})["output0"]
    assert str(answer.device) == "cuda:0"
    on_cpu = opened(torch_graphs.convolution(), tmp_path, input_hint=FIXED, device="cpu").run({"images": feed})[
        "output0"
    ]
    # cuDNN may use TF32, which has 10 bits of precision.
    torch.testing.assert_close(answer.cpu(), on_cpu, atol=1e-2, rtol=1e-2)
