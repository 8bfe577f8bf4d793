"""Torch tensors through real ONNX Runtime sessions, compared with torch itself (2.13, tolerance 1e-5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import graphs
from inference_models.authors.onnx_tensors import (
    generate_batch_chunks,
    run_onnx_session_via_iobinding,
    run_onnx_session_with_batch_size_limit,
)
from inference_models.errors import InvalidParameterError, ModelInputError

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


class Convolution:
    """`relu(conv2d(images, w, b))`: the session, and the same with torch."""

    def __init__(self, folder: Path, torch: Any, batch: int | str = "batch") -> None:
        path, kernel, bias = graphs.convolution(folder / "weights.onnx", batch=batch)
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self._torch, self._kernel, self._bias = torch, torch.from_numpy(kernel), torch.from_numpy(bias)

    def expected(self, images: Any) -> Any:
        return self._torch.nn.functional.conv2d(images, self._kernel, self._bias).relu()


@pytest.fixture
def convolution(tmp_path: Path, torch: Any) -> Convolution:
    return Convolution(tmp_path, torch)


def images(torch: Any, count: int) -> Any:
    return torch.rand((count, 3, 8, 8), generator=torch.Generator().manual_seed(0))


def close(torch: Any, output: Any, expected: Any) -> None:
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=0)


class TestBinding:
    @pytest.mark.parametrize("shaped", [False, True], ids=["allocated by the runtime", "allocated by torch"])
    def test_outputs_equal_those_of_torch(self, convolution: Convolution, torch: Any, shaped: bool) -> None:
        given = images(torch, 3)
        shapes = {"output0": (3, 4, 6, 6)} if shaped else None
        (output,) = run_onnx_session_via_iobinding(convolution.session, {"images": given}, shapes)
        assert (output.dtype, output.device.type) == (torch.float32, "cpu")
        close(torch, output, convolution.expected(given))

    def test_outputs_stay_valid_after_later_runs(self, convolution: Convolution, torch: Any) -> None:
        first, second = images(torch, 2), images(torch, 2) + 1
        (kept,) = run_onnx_session_via_iobinding(convolution.session, {"images": first})
        for _ in range(20):
            run_onnx_session_via_iobinding(convolution.session, {"images": second})
        close(torch, kept, convolution.expected(first))

    def test_other_types_and_layouts_are_converted(self, convolution: Convolution, torch: Any) -> None:
        given = images(torch, 2).double().permute(0, 1, 3, 2)
        assert not given.is_contiguous()
        (output,) = run_onnx_session_via_iobinding(convolution.session, {"images": given})
        close(torch, output, convolution.expected(given.float()))

    def test_an_empty_batch_gives_empty_outputs(self, convolution: Convolution, torch: Any) -> None:
        (output,) = run_onnx_session_via_iobinding(convolution.session, {"images": images(torch, 0)})
        assert tuple(output.shape) == (0, 4, 6, 6)

    @pytest.mark.parametrize("name", ["BOOL", "FLOAT16", "INT32", "INT64", "UINT8", "DOUBLE"])
    def test_every_type_goes_through_unchanged(self, tmp_path: Path, torch: Any, name: str) -> None:
        kind = getattr(TensorProto, name)
        path = graphs.save(
            tmp_path / "weights.onnx",
            [helper.make_node("Identity", ["x"], ["y"])],
            inputs={"x": ["n"]},
            outputs={"y": ["n"]},
            dtype=kind,
        )
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        dtype = {"BOOL": torch.bool, "FLOAT16": torch.float16, "DOUBLE": torch.float64}.get(name)
        given = torch.tensor([0, 1, 1, 0]).to(dtype or getattr(torch, name.lower()))
        (output,) = run_onnx_session_via_iobinding(session, {"x": given})
        assert output.dtype == given.dtype
        assert torch.equal(output, given)

    def test_wrong_names_are_refused(self, convolution: Convolution, torch: Any) -> None:
        with pytest.raises(ModelInputError) as caught:
            run_onnx_session_via_iobinding(convolution.session, {"image": images(torch, 1)})
        assert str(caught.value) == "the inputs are not those of the graph.\nneeds images; found: image"


class TestBatches:
    @pytest.mark.parametrize("count", [1, 2, 3, 7])
    @pytest.mark.parametrize(("largest", "smallest"), [(None, None), (2, None), (None, 4), (3, 3), (100, 1)])
    def test_every_size_gives_what_torch_gives(
        self, convolution: Convolution, torch: Any, count: int, largest: int | None, smallest: int | None
    ) -> None:
        given = images(torch, count)
        (output,) = run_onnx_session_with_batch_size_limit(
            convolution.session, {"images": given}, max_batch_size=largest, min_batch_size=smallest
        )
        close(torch, output, convolution.expected(given))

    def test_a_static_graph_takes_any_number(self, tmp_path: Path, torch: Any) -> None:
        convolution, given = Convolution(tmp_path, torch, batch=2), images(torch, 5)
        (output,) = run_onnx_session_with_batch_size_limit(
            convolution.session, {"images": given}, {"output0": (5, 4, 6, 6)}, max_batch_size=2, min_batch_size=2
        )
        close(torch, output, convolution.expected(given))

    def test_batches_of_different_sizes_are_refused(self, convolution: Convolution, torch: Any) -> None:
        with pytest.raises(ModelInputError) as caught:
            run_onnx_session_with_batch_size_limit(
                convolution.session, {"images": images(torch, 2), "sizes": images(torch, 3)}
            )
        assert str(caught.value) == (
            "the inputs do not form one batch.\nneeds the same first dimension for all inputs; found: images 2, sizes 3"
        )

    def test_limits_that_make_no_sense_are_refused(self, convolution: Convolution, torch: Any) -> None:
        with pytest.raises(InvalidParameterError) as caught:
            run_onnx_session_with_batch_size_limit(
                convolution.session, {"images": images(torch, 2)}, max_batch_size=1, min_batch_size=2
            )
        assert str(caught.value) == (
            "the batch limits make no sense.\n"
            "needs 1 <= min_batch_size <= max_batch_size; found: min_batch_size=2, max_batch_size=1"
        )


class TestChunks:
    @pytest.mark.parametrize("kind", ["numpy", "torch"])
    def test_they_are_filled_with_zeros(self, kind: str) -> None:
        batch: Any = np.arange(1, 6, dtype=np.float32)[:, None]
        if kind == "torch":
            batch = pytest.importorskip("torch").from_numpy(batch)
        chunks = [(np.asarray(chunk).ravel().tolist(), filling) for chunk, filling in generate_batch_chunks(batch, 2)]
        assert chunks == [([1, 2], 0), ([3, 4], 0), ([5, 0], 1)]

    def test_an_empty_batch_has_none(self) -> None:
        assert list(generate_batch_chunks(np.zeros((0, 3)), 4)) == []

    def test_a_size_below_one_is_refused(self) -> None:
        with pytest.raises(InvalidParameterError) as caught:
            list(generate_batch_chunks(np.zeros((1, 3)), 0))
        assert str(caught.value) == "chunk_size makes no sense.\nneeds at least 1; found: 0"
