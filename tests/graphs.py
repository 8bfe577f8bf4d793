"""Tiny ONNX graphs, built in the test that needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Dims = list[int | str]
OPSET = 17
IR_VERSION = 9


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    *,
    inputs: Mapping[str, Dims],
    outputs: Mapping[str, Dims],
    weights: Mapping[str, np.ndarray] | None = None,
    metadata: Mapping[str, str] | None = None,
    dtype: int = TensorProto.FLOAT,
) -> Path:
    """Write a graph to `path` and return it."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(name, dtype, dims) for name, dims in inputs.items()],
        [helper.make_tensor_value_info(name, dtype, dims) for name, dims in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    for key, value in (metadata or {}).items():
        model.metadata_props.append(onnx.StringStringEntryProto(key=key, value=value))
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def convolution(path: Path, *, batch: int | str = "batch", seed: int = 0) -> tuple[Path, np.ndarray, np.ndarray]:
    """`relu(conv2d(images, w, b))` (batch, 3, 8, 8) -> (batch, 4, 6, 6), with its weights."""
    generator = np.random.default_rng(seed)
    kernel = generator.normal(size=(4, 3, 3, 3)).astype(np.float32)
    bias = generator.normal(size=4).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "w", "b"], ["c"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["c"], ["output0"]),
    ]
    save(
        path,
        nodes,
        inputs={"images": [batch, 3, 8, 8]},
        outputs={"output0": [batch, 4, 6, 6]},
        weights={"w": kernel, "b": bias},
    )
    return path, kernel, bias


def constant_outputs(
    path: Path,
    *,
    size: tuple[int, int],
    outputs: Mapping[str, np.ndarray],
    batch: int | str = 1,
    metadata: Mapping[str, str] | None = None,
    declared: Mapping[str, Dims] | None = None,
) -> Path:
    """A graph that takes (batch, 3, h, w) images and always answers `outputs`, each (1, ...) repeated over the batch.

    The answer is multiplied by `1 + 0 * mean(image)`, so that a NaN in the input would show.
    """
    nodes: list[Any] = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "one"], ["ones"]),
    ]
    weights: dict[str, np.ndarray] = {"zero": np.float32(0).reshape(1), "one": np.float32(1).reshape(1)}
    dims: dict[str, Dims] = {}
    for name, value in outputs.items():
        weights[f"value_{name}"] = value.astype(np.float32)
        weights[f"shape_{name}"] = np.array([-1] + [1] * (value.ndim - 1), np.int64)
        nodes.append(helper.make_node("Reshape", ["ones", f"shape_{name}"], [f"ones_{name}"]))
        nodes.append(helper.make_node("Mul", [f"ones_{name}", f"value_{name}"], [name]))
        dims[name] = (declared or {}).get(name) or [batch, *value.shape[1:]]
    return save(path, nodes, inputs={"images": [batch, 3, *size]}, outputs=dims, weights=weights, metadata=metadata)


def with_external_data(path: Path, *, location: str = "weights.data") -> Path:
    """The graph of `convolution` with the values of its tensors in another file."""
    convolution(path)
    model = onnx.load(path)
    onnx.external_data_helper.convert_model_to_external_data(model, location="weights.data", size_threshold=0)
    onnx.save(model, path)
    if location != "weights.data":
        model = onnx.load(path, load_external_data=False)
        for tensor in model.graph.initializer:
            next(entry for entry in tensor.external_data if entry.key == "location").value = location
        path.write_bytes(model.SerializeToString())
    return path
