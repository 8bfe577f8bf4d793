"""Selfie segmentation of MediaPipe: the real weights on a real portrait, and LiteRT's own answer to the same input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import skimage.data

from inference_models import AutoModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PICTURE = np.ascontiguousarray(skimage.data.astronaut()[..., ::-1])


@pytest.fixture(params=["selfie_segmentation", "selfie_segmentation_landscape"])
def weights(request: Any, real_weights: Callable[[str], Path], tmp_path: Path) -> Path:
    """The published graph, whose last operator is replaced by the one that every runtime has."""
    pytest.importorskip("ai_edge_litert")
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    published = real_weights(f"mediapipe/{request.param}.tflite").read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(published, 0))
    (graph,) = model.subgraphs
    last = next(step for step in graph.operators if model.operatorCodes[step.opcodeIndex].customCode)
    code = model.operatorCodes[last.opcodeIndex]
    assert code.customCode == b"Convolution2DTransposeBias"
    code.customCode, code.version = None, 3
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.TRANSPOSE_CONV
    size, buffer = schema.TensorT(), schema.BufferT()
    buffer.data = np.frombuffer(graph.tensors[last.outputs[0]].shape.astype(np.int32).tobytes(), np.uint8)
    size.name, size.shape, size.type, size.buffer = "size", [4], schema.TensorType.INT32, len(model.buffers)
    model.buffers.append(buffer)
    graph.tensors.append(size)
    image, kernel, bias = last.inputs
    last.inputs = [len(graph.tensors) - 1, kernel, image, bias]
    options = schema.TransposeConvOptionsT()
    options.padding, options.strideW, options.strideH = schema.Padding.SAME, 2, 2
    last.customOptions = None
    last.builtinOptions, last.builtinOptionsType = options, schema.BuiltinOptions.TransposeConvOptions
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path = tmp_path / "selfie.tflite"
    path.write_bytes(bytes(builder.Output()))
    return path


def test_the_person_of_a_portrait_is_found_without_labels(weights: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    model = AutoModel.from_pretrained(weights, model_type="selfie-segmentation")
    (found,) = model(PICTURE)
    assert model.class_names == ["background", "person"]
    assert found.segmentation_map.shape == found.confidence.shape == (512, 512)
    # Her face and chest; both upper corners are not she.
    assert found.segmentation_map[120, 225] == found.segmentation_map[400, 230] == 1
    assert found.segmentation_map[20, 20] == found.segmentation_map[20, 490] == 0

    original = Interpreter(str(weights))
    original.allocate_tensors()
    (image,), (scores,) = original.get_input_details(), original.get_output_details()
    _, height, width, _ = image["shape"]
    resized = cv2.resize(PICTURE, (int(width), int(height)))[..., ::-1]
    original.set_tensor(image["index"], resized[None].astype(np.float32) / 255)
    original.invoke()
    wanted = cv2.resize(original.get_tensor(scores["index"])[0, ..., 0], (512, 512))
    np.testing.assert_allclose(found.confidence, np.where(wanted < 0.5, 0, wanted), atol=2e-3)
