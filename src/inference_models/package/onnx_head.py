"""The last layer of a classifier in an ONNX graph: what goes into it, and how to get that out of a session."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from inference_models.arrays import TensorSpec
from inference_models.errors import ModelImplementationNotFoundError
from inference_models.package.onnx_file import no_graph
from inference_models.package.onnx_wire import DTYPES, WireError, WireReader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference_models.package.onnx_wire import Message

_AFTER_HEAD = {"Cast", "Identity", "LogSoftmax", "Sigmoid", "Softmax"}
_OF_WEIGHTS = {"Cast", "DequantizeLinear", "Identity", "Transpose"}
_LINEAR = {"Gemm", "MatMul"}


def read_head(path: Path) -> tuple[TensorSpec, TensorSpec]:
    """What the last linear layer of the graph in a file takes, and what it gives: features and logits.

    1. From the first output back over activations, and over the addition of a bias.
    2. What is met there is a `Gemm` or `MatMul` whose weights are stored.

    Raises:
        CorruptedModelPackageError: the file is no ONNX graph.
        ModelImplementationNotFoundError: it has no such layer there; names the operator.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = WireReader(data)
        try:
            graph = reader.message("Model", 0, len(data))["graph"][-1]
            nodes = [reader.message("Node", *span) for span in tuple(reader.nodes)]
        except (WireError, KeyError) as exc:
            raise no_graph(path.name, str(exc)) from exc
    makes = {name: node for node in nodes for name in node.get("output", ())}
    stored = {name: tensor for tensor in graph.get("initializer", ()) for name in tensor.get("name", ())}
    name = logits = graph["output"][0]["name"][-1]
    while True:
        node = makes.get(name, {})
        kind, inputs = node.get("op_type", ["an input"])[-1], node.get("input", [])
        if kind in _AFTER_HEAD:
            name = logits = inputs[0]
        elif kind == "Add" and any(item in stored for item in inputs) and not all(item in stored for item in inputs):
            name = next(item for item in inputs if item not in stored)
        elif kind in _LINEAR and len(inputs) > 1 and _is_stored(inputs[1], makes, stored):
            dtype = DTYPES.get((stored.get(inputs[1], {}).get("data_type") or [1])[-1], "float32")
            return TensorSpec(inputs[0], (None, None), dtype), TensorSpec(logits, (None, None), dtype)
        else:
            raise ModelImplementationNotFoundError(
                f"{path.name} gives no image embeddings: it does not end in a linear layer, before which they lie.",
                needs="a last Gemm or MatMul with stored weights",
                found=kind,
                fix="leave required_capabilities out",
            )


def _is_stored(name: str, makes: Mapping[str, Message], stored: Mapping[str, Message]) -> bool:
    node = makes.get(name, {})
    if node.get("op_type", [""])[-1] in _OF_WEIGHTS:
        return _is_stored(node["input"][0], makes, stored)
    return name in stored or node.get("op_type") == ["Constant"]


def further_outputs(specs: tuple[TensorSpec, ...]) -> bytes:
    """What makes tensors inside a graph its last outputs, written behind the bytes of its file.

    Readers of protobuf merge the parts of a message that stands there twice. A number format that is not known is left
    out, and runtimes find it.
    """
    numbers = {name: number for number, name in DTYPES.items()}

    def stated(dtype: str) -> bytes:
        return _field(2, _field(1, bytes([8, numbers[dtype]]))) if dtype in numbers else b""

    values = (_field(1, spec.name.encode()) + stated(spec.dtype) for spec in specs)
    return _field(7, b"".join(_field(12, value) for value in values))


def _field(number: int, content: bytes) -> bytes:
    length, size = b"", len(content)
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content
