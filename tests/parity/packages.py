"""Detectors whose answers depend on the image, and the same detectors with something wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

import graphs
import hosted
from inference_models.cache.facts import Facts
from inference_models.parity.certificate import Certificate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ANCHORS = ((16.0, 32.0, 12.0, 20.0), (32.0, 32.0, 12.0, 20.0), (48.0, 32.0, 12.0, 20.0))
"""Centre x, centre y, width, height in network pixels."""


def detector(path: Path, *, least: float = 0.2) -> bytes:
    """A YOLOv8-style graph of two classes: three fixed boxes whose scores are shares of red, green and blue."""
    weights = np.zeros((3, 6, 3), np.float32)
    weights[0, 4, 0], weights[2, 5, 1], weights[1, 4, 2], weights[2, 5, 2] = 0.7234, 0.7456, 0.8123, 0.8345
    weights[:, 0] = 0.3333  # the boxes move a little with the image
    bias = np.zeros((6, 3), np.float32)
    bias[:4] = np.transpose(ANCHORS)
    bias[4:] = least - 0.2
    bias[4, 0], bias[5, 1] = least, least
    graphs.save(
        path,
        [
            helper.make_node("ReduceMean", ["images"], ["means"], axes=[2, 3], keepdims=0),
            helper.make_node("Gemm", ["means", "w", "b"], ["rows"]),
            helper.make_node("Reshape", ["rows", "shape"], ["output0"]),
        ],
        inputs={"images": ["batch", 3, 64, 64]},
        outputs={"output0": ["batch", 6, 3]},
        weights={"w": weights.reshape(3, 18), "b": bias.reshape(18), "shape": np.array([-1, 6, 3], np.int64)},
    )
    return path.read_bytes()


def classifier(path: Path) -> bytes:
    """Three logits: how red, green and blue an image is."""
    graphs.save(
        path,
        [
            helper.make_node("ReduceMean", ["images"], ["means"], axes=[2, 3], keepdims=0),
            helper.make_node("MatMul", ["means", "w"], ["logits"]),
        ],
        inputs={"images": ["batch", 3, 64, 64]},
        outputs={"logits": ["batch", 3]},
        weights={"w": np.diag([3.0, 2.5, 2.75]).astype(np.float32)},
    )
    return path.read_bytes()


def as_files(weights: bytes) -> dict[str, bytes]:
    """The files of a package around the weights of `detector`."""
    config = {"network_input": hosted.NETWORK, "post_processing": {"type": "nms", "fused": False}}
    stated = {"model_architecture": "yolov8", "task_type": "object-detection", "backend_type": "onnx"}
    return {
        "weights.onnx": weights,
        "class_names.txt": b"cat\ndog\n",
        "inference_config.json": json.dumps(config).encode(),
        "model_config.json": json.dumps(stated).encode(),
    }


def as_classifier_files(weights: bytes) -> dict[str, bytes]:
    """The files of a package around the weights of `classifier`."""
    stated = {"model_architecture": "resnet", "task_type": "classification", "backend_type": "onnx"}
    config = {"network_input": {**hosted.NETWORK, "resize_mode": "stretch"}}
    return {
        "weights.onnx": weights,
        "class_names.txt": b"red\ngreen\nblue\n",
        "inference_config.json": json.dumps(config).encode(),
        "model_config.json": json.dumps(stated).encode(),
    }


def with_data_outside(folder: Path, weights: bytes) -> Path:
    """The graph as `best.onnx`, with its numbers in `outside.bin` beside it."""
    path = folder / "best.onnx"
    onnx.save_model(
        onnx.load_from_string(weights), path, save_as_external_data=True, location="outside.bin", size_threshold=64
    )
    return path


def swapped_channels(data: bytes) -> bytes:
    """Red for blue: the commonest mistake of an export."""
    model = onnx.load_from_string(data)
    (entry,) = model.graph.input
    order = numpy_helper.from_array(np.array([2, 1, 0], np.int64), "order")
    node = helper.make_node("Gather", [entry.name, "order"], ["swapped"], axis=1)
    return _with_first_node(model, entry.name, "swapped", node, order)


def darker(data: bytes, by: float) -> bytes:
    """Every pixel times `by`: what a wrong scale does, or a little noise when it is near to 1."""
    model = onnx.load_from_string(data)
    (entry,) = model.graph.input
    factor = numpy_helper.from_array(np.array(by, np.float32), "factor")
    node = helper.make_node("Mul", [entry.name, "factor"], ["darker"])
    return _with_first_node(model, entry.name, "darker", node, factor)


def shifted_boxes(pixels: float, *, axis: int = 1) -> Callable[[bytes], bytes]:
    """All boxes `pixels` of the network to the right; `axis` holds cx, cy, w, h, ..."""

    def shift(data: bytes) -> bytes:
        model = onnx.load_from_string(data)
        (out,) = model.graph.output
        dims = [dim.dim_value for dim in out.type.tensor_type.shape.dim]
        offset = np.zeros([dims[axis] if number == axis else 1 for number in range(3)], np.float32)
        offset[(0, 0, 0)] = pixels
        return _with_last_node(model, "Add", offset)

    return shift


def not_a_number(data: bytes) -> bytes:
    """Every output is NaN."""
    return _with_last_node(onnx.load_from_string(data), "Mul", np.array(np.nan, np.float32))


def half_weights(data: bytes) -> bytes:
    """Weights as fp16 holds them, in a graph that computes in fp32."""
    model = onnx.load_from_string(data)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16).astype(np.float32), tensor.name))
    return model.SerializeToString()


def _with_first_node(
    model: onnx.ModelProto, name: str, new_name: str, node: onnx.NodeProto, weight: onnx.TensorProto
) -> bytes:
    for other in model.graph.node:
        other.input[:] = [new_name if item == name else item for item in other.input]
    model.graph.node.insert(0, node)
    model.graph.initializer.append(weight)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _with_last_node(model: onnx.ModelProto, kind: str, value: np.ndarray) -> bytes:
    (out,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["before_last" if item == out.name else item for item in node.output]
    model.graph.initializer.append(numpy_helper.from_array(value, "last_value"))
    model.graph.node.append(helper.make_node(kind, ["before_last", "last_value"], [out.name]))
    onnx.checker.check_model(model)
    return model.SerializeToString()


def read_certificate(path: Path) -> Certificate:
    """The certificate in a file."""
    found = Facts(path.parent, Certificate, "%s").read(path.name.removesuffix(".json"))
    assert found is not None
    return found


def write_certificate(path: Path, certificate: Certificate) -> None:
    """Put another certificate in the place of one."""
    Facts(path.parent, Certificate, "%s").write(path.name.removesuffix(".json"), certificate)
