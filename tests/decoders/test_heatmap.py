from __future__ import annotations

import math

import numpy as np
import pytest

from decoders.independent_nms import assert_same_boxes, assert_torch_agrees, torch_decode
from inference_models.decoders.heatmap import HEATMAP
from inference_models.decoders.types import BoxLimits
from inference_models.errors import CorruptedModelPackageError
from optional import torch

FRAME = (64, 96)
HEIGHT, WIDTH = 16, 24
LIMITS = BoxLimits(confidence=0.5, iou=0.3, max_detections=300)


def raw_outputs(seed, batch=3):
    rng = np.random.default_rng(seed)
    shape = (HEIGHT, WIDTH)
    heat = rng.random((batch, 1, *shape), dtype=np.float32)
    size, offset = (rng.normal(0, 0.7, (batch, 2, *shape)).astype(np.float32) for _ in range(2))
    return [heat, size, offset, np.zeros((batch, 10, *shape), np.float32)]


def decoded_cell_by_cell(outputs, image):
    boxes = []
    _, size, offset, _ = (output[image] for output in outputs)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            height, width = (math.exp(size[axis, y, x]) * 4 for axis in (0, 1))
            cy, cx = (y + offset[0, y, x] + 0.5) * 4, (x + offset[1, y, x] + 0.5) * 4
            boxes.append([cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2])
    return torch.tensor(boxes), torch.from_numpy(outputs[0][image]).reshape(-1, 1)


@pytest.mark.parametrize("confidence", [0.1, 0.5, np.array([0.7], np.float32)])
def test_every_image_of_a_batch_gives_what_loops_over_cells_give(confidence):
    outputs = raw_outputs(0)
    found = HEATMAP.decode(outputs, FRAME, BoxLimits(confidence, iou=0.3, max_detections=300))
    assert len(found) == 3
    for image, boxes in enumerate(found):
        expected = torch_decode(*decoded_cell_by_cell(outputs, image), confidence, 0.3, 300)
        assert_same_boxes(boxes, expected)


def test_torch_tensors_give_the_same_numbers_as_torch_tensors():
    assert_torch_agrees(HEATMAP, raw_outputs(1), FRAME, LIMITS)


def test_half_precision_outputs_give_the_results_of_the_rounded_numbers():
    halves = [output.astype(np.float16) for output in raw_outputs(2)]
    exact = HEATMAP.decode([half.astype(np.float32) for half in halves], FRAME, LIMITS)
    for a, b in zip(HEATMAP.decode(halves, FRAME, LIMITS), exact, strict=True):
        assert len(b.anchor) > 0
        assert_same_boxes(a, (b.xyxy, b.confidence, b.class_id, b.anchor))


def test_nothing_found_keeps_shapes_and_types():
    for boxes in HEATMAP.decode(raw_outputs(3), FRAME, BoxLimits(1.0, iou=0.3, max_detections=300)):
        assert_same_boxes(boxes, (np.empty((0, 4)), [], [], []))


def test_there_is_one_class_whatever_the_shapes():
    assert HEATMAP.count_classes([(10, 1, 8, 8), (10, 2, 8, 8), (10, 2, 8, 8), (10, 10, 8, 8)]) == 1


def test_outputs_of_another_architecture_are_refused():
    with pytest.raises(CorruptedModelPackageError) as caught:
        HEATMAP.decode([np.zeros((1, 2, 8, 8), np.float32)], FRAME, LIMITS)
    assert str(caught.value) == (
        "the outputs of the graph do not have the layout of its architecture.\n"
        "needs three outputs (B, 1, h, w), (B, 2, h, w), (B, 2, h, w); found: (1, 2, 8, 8)\n"
        "name the architecture and task that this file was exported from, or export it again"
    )
