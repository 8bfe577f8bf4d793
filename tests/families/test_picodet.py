from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnxruntime
import pytest
import skimage.data

from inference_models.decoders.types import BoxLimits
from inference_models.families import find_graph

if TYPE_CHECKING:
    from pathlib import Path

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
FRAME = (800, 608)

# rapid_layout 0.3.0 on skimage.data.page() and astronaut(), suppression at 0.5, its boxes scaled back to the network
# input: class, score, box. It clips boxes to the frame, and lets one anchor count for several classes, ours for its
# best one: of the weak rows of page() only the one of an anchor with a single class above 0.2 is compared.
PAGE = [(1, 0.6309, (17.4931, 54.1998, 461.3061, 142.0879)), (1, 0.5601, (1.7663, 204.6542, 603.1561, 575.7879))]
PAGE_WEAK = (1, 0.2193, (4.1684, 729.0133, 378.4029, 797.8054))
ASTRONAUT = [(2, 0.9765, (0.0, 0.2414, 607.9943, 800.0))]


def run(weights: Path, image, confidence):
    resized = cv2.resize(image, (608, 800)).astype(np.float32) / 255
    blob = ((resized - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
    session = onnxruntime.InferenceSession(str(weights), providers=["CPUExecutionProvider"])
    decoder = find_graph("picodet", "object-detection").decoder
    (boxes,) = decoder.decode(session.run(None, {"image": blob}), FRAME, BoxLimits(confidence, 0.5, 300))
    return boxes


def assert_recorded(boxes, recorded):
    assert boxes.class_id.tolist() == [class_id for class_id, _, _ in recorded]
    np.testing.assert_allclose(boxes.confidence, [score for _, score, _ in recorded], atol=1e-3)
    clipped = np.clip(boxes.xyxy, 0, [608, 800, 608, 800])
    # 0.1 pixel: runtimes and processors differ in the last digits of the graph's outputs.
    np.testing.assert_allclose(clipped, [box for _, _, box in recorded], atol=0.1)


def page():
    return cv2.cvtColor(skimage.data.page(), cv2.COLOR_GRAY2BGR)


def test_regions_of_a_page_are_those_of_the_original_project(picodet_onnx: Path):
    assert_recorded(run(picodet_onnx, page(), 0.5), PAGE)


def test_weak_regions_of_a_page_are_those_of_the_original_project(picodet_onnx: Path):
    boxes = run(picodet_onnx, page(), 0.2)
    assert boxes.class_id.tolist() == [1, 1, 0, 1]
    class_id, score, box = PAGE_WEAK
    np.testing.assert_allclose(boxes.xyxy[-1], box, atol=0.1)
    assert (boxes.class_id[-1], boxes.confidence[-1]) == (class_id, pytest.approx(score, abs=1e-3))


def test_a_photograph_is_one_figure_as_in_the_original_project(picodet_onnx: Path):
    assert_recorded(run(picodet_onnx, skimage.data.astronaut(), 0.5), ASTRONAUT)
