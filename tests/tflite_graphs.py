"""Tiny LiteRT graphs, built in the test that needs them. Call only where `ai_edge_litert` is installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCHEMA_VERSION = 3


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    dtype: type = np.float32
    data: np.ndarray | None = None
    is_open: bool = False
    """Whether the first side is left to each run."""
    scale: float | None = None
    zero_point: int = 0


def convolution(path: Path, *, is_open: bool = True, signature: bool = True) -> tuple[Path, np.ndarray, np.ndarray]:
    """`relu(conv2d(images, w, b))` (batch, 8, 8, 3) -> (batch, 6, 6, 4), with its weights (out, h, w, in)."""
    schema = _schema()
    generator = np.random.default_rng(0)
    kernel = generator.normal(size=(4, 3, 3, 3)).astype(np.float32)
    bias = generator.normal(size=4).astype(np.float32)
    tensors = [
        Tensor("serving_default_images:0", (1, 8, 8, 3), is_open=is_open),
        Tensor("w", kernel.shape, data=kernel),
        Tensor("b", bias.shape, data=bias),
        Tensor("StatefulPartitionedCall:0", (1, 6, 6, 4), is_open=is_open),
    ]
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.VALID, 1, 1
    options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = schema.ActivationFunctionType.RELU
    operator = _operator([0, 1, 2], [3], options, schema.BuiltinOptions.Conv2DOptions)
    code = _code(schema.BuiltinOperator.CONV_2D, version=1)
    names = ({"pixels": 0}, {"features": 3}) if signature else None
    return save(path, tensors, operator, code, signature=names), kernel, bias


def quantize(path: Path, *, scale: float, zero_point: int) -> Path:
    """`x` float32 (1, 4) -> `q` uint8 (1, 4), stored with a scale and a zero point."""
    schema = _schema()
    tensors = [Tensor("x", (1, 4)), Tensor("q", (1, 4), np.uint8, scale=scale, zero_point=zero_point)]
    return save(path, tensors, _operator([0], [1]), _code(schema.BuiltinOperator.QUANTIZE))


def dequantize(path: Path, *, scale: float, zero_point: int) -> Path:
    """`q` uint8 (1, 4) -> `x` float32 (1, 4)."""
    schema = _schema()
    tensors = [Tensor("q", (1, 4), np.uint8, scale=scale, zero_point=zero_point), Tensor("x", (1, 4))]
    return save(path, tensors, _operator([0], [1]), _code(schema.BuiltinOperator.DEQUANTIZE))


def mean_colour(path: Path, *, size: int) -> Path:
    """`images` (1, size, size, 3) -> their mean colour (1, 3)."""
    schema = _schema()
    tensors = [
        Tensor("images", (1, size, size, 3)),
        Tensor("axes", (2,), np.int32, data=np.array([1, 2], np.int32)),
        Tensor("scores", (1, 3)),
    ]
    operator = _operator([0, 1], [2], schema.ReducerOptionsT(), schema.BuiltinOptions.ReducerOptions)
    return save(path, tensors, operator, _code(schema.BuiltinOperator.MEAN))


def rows(path: Path, *, shape: tuple[int, int, int, int]) -> Path:
    """`images` of `shape` -> the same numbers as rows of six (1, n, 6)."""
    schema = _schema()
    wanted = (1, int(np.prod(shape)) // 6, 6)
    tensors = [Tensor("images", shape), Tensor("s", (3,), np.int32, data=np.int32(wanted)), Tensor("Identity", wanted)]
    options = schema.ReshapeOptionsT()
    options.newShape = list(wanted)
    operator = _operator([0, 1], [2], options, schema.BuiltinOptions.ReshapeOptions)
    return save(path, tensors, operator, _code(schema.BuiltinOperator.RESHAPE))


def private(path: Path, operator: str) -> Path:
    """A graph of one operator that only its author has."""
    schema = _schema()
    code = _code(schema.BuiltinOperator.CUSTOM)
    code.customCode = operator
    return save(path, [Tensor("x", (1, 4)), Tensor("y", (1, 4))], _operator([0], [1]), code)


def save(
    path: Path,
    tensors: Sequence[Tensor],
    operator: Any,
    code: Any,
    *,
    signature: tuple[dict[str, int], dict[str, int]] | None = None,
) -> Path:
    """Write a graph of one operator to `path` and return it."""
    model = _model([code])
    model.subgraphs = [_graph(model, tensors, [operator])]
    model.signatureDefs = [_signature(*signature)] if signature else []
    return _written(path, model)


def endless(path: Path, *, size: int) -> Path:
    """The mean colour (1, 3), negated as long as 1 equals 1."""
    schema = _schema()
    kinds = ("MEAN", "WHILE", "EQUAL", "NEG")
    model = _model([_code(getattr(schema.BuiltinOperator, kind)) for kind in kinds])
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    one = Tensor("one", (), data=np.ones((), np.float32))
    tensors = [
        Tensor("images", (1, size, size, 3)),
        Tensor("axes", (2,), np.int32, data=np.array([1, 2], np.int32)),
        Tensor("mean", (1, 3)),
        Tensor("scores", (1, 3)),
    ]
    steps = [
        _operator([0, 1], [2], schema.ReducerOptionsT(), schema.BuiltinOptions.ReducerOptions),
        _operator([2], [3], options, schema.BuiltinOptions.WhileOptions, code=1),
    ]
    model.subgraphs = [
        _graph(model, tensors, steps),
        _graph(model, [Tensor("x", (1, 3)), one, Tensor("go", (), np.bool_)], [_operator([1, 1], [2], code=2)]),
        _graph(model, [Tensor("x", (1, 3)), Tensor("y", (1, 3))], [_operator([0], [1], code=3)]),
    ]
    return _written(path, model)


def _model(codes: list[Any]) -> Any:
    model = _schema().ModelT()
    model.version, model.operatorCodes, model.buffers = SCHEMA_VERSION, codes, [_schema().BufferT()]
    return model


def _graph(model: Any, tensors: Sequence[Tensor], operators: Sequence[Any]) -> Any:
    """A graph whose first tensor is its input, and whose output is that of the last operator."""
    graph = _schema().SubGraphT()
    graph.tensors = [_tensor(tensor, model.buffers) for tensor in tensors]
    graph.inputs, graph.outputs, graph.operators = [0], operators[-1].outputs, list(operators)
    return graph


def _written(path: Path, model: Any) -> Path:
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(builder.Output()))
    return path


def _schema() -> Any:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def _code(builtin: int, *, version: int = 1) -> Any:
    code = _schema().OperatorCodeT()
    # Readers of before 2020 look at the first of the two, which holds no more than one byte.
    code.deprecatedBuiltinCode, code.builtinCode, code.version = min(builtin, 127), builtin, version
    return code


def _operator(inputs: list[int], outputs: list[int], options: Any = None, kind: int = 0, *, code: int = 0) -> Any:
    operator = _schema().OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, inputs, outputs
    operator.builtinOptions, operator.builtinOptionsType = options, kind
    return operator


def _tensor(tensor: Tensor, buffers: list[Any]) -> Any:
    schema = _schema()
    made = schema.TensorT()
    made.name, made.shape = tensor.name, list(tensor.shape)
    made.type = getattr(schema.TensorType, np.dtype(tensor.dtype).name.upper())
    if tensor.is_open:
        made.shapeSignature = [-1, *tensor.shape[1:]]
    if tensor.scale is not None:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = [tensor.scale], [tensor.zero_point]
    made.buffer = len(buffers)
    buffers.append(schema.BufferT())
    if tensor.data is not None:
        buffers[-1].data = np.frombuffer(tensor.data.tobytes(), np.uint8)
    return made


def _signature(inputs: dict[str, int], outputs: dict[str, int]) -> Any:
    schema = _schema()
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs = [_named(name, index) for name, index in inputs.items()]
    signature.outputs = [_named(name, index) for name, index in outputs.items()]
    return signature


def _named(name: str, index: int) -> Any:
    entry = _schema().TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry
