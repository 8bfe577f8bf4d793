"""What the operators of a graph tell: its number format, and whether small constants bound what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

import hostile_graphs
from inference_models.entities import Quantization
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.onnx_file import read_onnx_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(("write", "operator"), hostile_graphs.TRIED.items())
def test_operators_that_no_small_constant_bounds_are_named(
    write: Callable[[Path], Path], operator: str, tmp_path: Path
) -> None:
    assert operator in read_onnx_file(write(tmp_path / "m.onnx")).unbounded


@pytest.mark.parametrize(
    ("write", "found"),
    [
        (hostile_graphs.claimed, "a tensor of 1000000000000 numbers in 19 bytes"),
        (hostile_graphs.copied, "local functions that make 268435458 nodes"),
        (hostile_graphs.recursive, "more than 100 functions inside each other"),
    ],
)
def test_what_cannot_be_true_is_refused_when_it_is_read(
    write: Callable[[Path], Path], found: str, tmp_path: Path
) -> None:
    with pytest.raises(CorruptedModelPackageError, match=found):
        read_onnx_file(write(tmp_path / "m.onnx"))


def constant(name: str, value: onnx.TensorProto) -> onnx.NodeProto:
    return h.make_node("Constant", [], [name], value=value)


def test_sizes_that_are_small_constants_are_bounds_wherever_they_are_stored(tmp_path: Path) -> None:
    floats = T(name="s", data_type=T.FLOAT, dims=[4], float_data=[1, 1, 2, 2])
    packed = T(name="p", data_type=T.INT64, dims=[2], int64_data=[2, 3])
    nodes = [
        h.make_node("Resize", ["images", "", "s"], ["larger"]),
        constant("n", nh.from_array(np.array([4, 3], np.int64))),
        h.make_node("ConstantOfShape", ["n"], ["zeros"]),
        h.make_node("Expand", ["mean", "p"], ["rows"]),
        h.make_node("Concat", ["rows", "zeros"], ["all"], axis=0),
        *hostile_graphs.added("all"),
    ]
    assert read_onnx_file(hostile_graphs.save(tmp_path / "m.onnx", nodes, [floats, packed])).unbounded == ()


def weight(kind: int, name: str = "w") -> onnx.TensorProto:
    if kind in {T.INT4, T.UINT4}:
        return T(name=name, data_type=kind, dims=[8, 8], raw_data=bytes(32))
    return h.make_tensor(name, kind, [8, 8], bytes(64 * {T.FLOAT: 4, T.INT8: 1, T.UINT8: 1}.get(kind, 2)), raw=True)


@pytest.mark.parametrize(
    ("weights", "operator", "expected"),
    [
        ([T.FLOAT], "MatMul", Quantization.FP32),
        ([T.FLOAT16, T.FLOAT16, T.FLOAT], "MatMul", Quantization.FP16),
        ([T.BFLOAT16], "MatMul", Quantization.BF16),
        ([T.INT8], "Cast", Quantization.INT8),
        ([T.INT4], "Cast", Quantization.INT8),
        ([T.UINT4, T.FLOAT16, T.FLOAT16], "Cast", Quantization.INT8),
        *(
            ([T.FLOAT, T.UINT8], operator, Quantization.INT8)
            for operator in ("DequantizeLinear", "DynamicQuantizeLinear", "MatMulNBits", "QLinearConv", "MatMulInteger")
        ),
        ([], "Relu", Quantization.UNKNOWN),
    ],
)
def test_the_number_format_is_that_of_weights_and_operators(
    weights: list[int], operator: str, expected: Quantization, tmp_path: Path
) -> None:
    constants = [weight(kind, f"w{index}") for index, kind in enumerate(weights)]
    node = h.make_node(operator, ["mean", "w0"], ["output0"])
    assert read_onnx_file(hostile_graphs.save(tmp_path / "m.onnx", [node], constants)).quantization is expected


def test_names_say_nothing_about_the_number_format(tmp_path: Path) -> None:
    node = h.make_node("MatMul", ["mean", "w"], ["output0"], name="/Quant/MatMulNBits_QLinearConv")
    path = hostile_graphs.save(tmp_path / "model_int8_q4.onnx", [node], [weight(T.FLOAT)])
    assert read_onnx_file(path).quantization is Quantization.FP32
