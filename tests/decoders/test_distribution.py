from __future__ import annotations

import numpy as np
import pytest

from decoders.independent_nms import assert_same_boxes, assert_torch_agrees, torch_decode
from inference_models.decoders.distribution import DISTRIBUTION
from inference_models.decoders.types import BoxLimits
from inference_models.errors import CorruptedModelPackageError
from optional import torch

FRAME = (100, 136)  # no multiple of 64: the last cells reach over the edge
GRIDS = {8: (13, 17), 16: (7, 9), 32: (4, 5), 64: (2, 3)}
CLASSES, BINS = 3, 8
LIMITS = BoxLimits(confidence=0.4, iou=0.5, max_detections=300)


def raw_outputs(seed, batch=3):
    rng = np.random.default_rng(seed)
    counts = [rows * columns for rows, columns in GRIDS.values()]
    scores = [rng.random((batch, n, CLASSES), dtype=np.float32) ** 3 for n in counts]
    distances = [rng.normal(0, 3, (batch, n, 4 * BINS)).astype(np.float32) for n in counts]
    return scores + distances


def decoded_cell_by_cell(outputs, image):
    boxes = []
    for (stride, (rows, columns)), level in zip(GRIDS.items(), outputs[4:], strict=True):
        for index in range(rows * columns):
            y, x = divmod(index, columns)
            sides = torch.from_numpy(level[image, index]).reshape(4, BINS).softmax(dim=1)
            left, top, right, bottom = (sides * torch.arange(BINS)).sum(dim=1) * stride
            cx, cy = (x + 0.5) * stride, (y + 0.5) * stride
            boxes.append(torch.stack([cx - left, cy - top, cx + right, cy + bottom]))
    return torch.stack(boxes), torch.cat([torch.from_numpy(level[image]) for level in outputs[:4]])


@pytest.mark.parametrize("confidence", [0.1, 0.4, np.array([0.2, 0.7, 0.5], np.float32)])
def test_every_image_of_a_batch_gives_what_loops_over_cells_give(confidence):
    outputs = raw_outputs(0)
    found = DISTRIBUTION.decode(outputs, FRAME, BoxLimits(confidence, iou=0.5, max_detections=300))
    for image, boxes in enumerate(found):
        expected = torch_decode(*decoded_cell_by_cell(outputs, image), confidence, 0.5, 300)
        assert_same_boxes(boxes, expected)


def test_torch_tensors_give_the_same_numbers_as_torch_tensors():
    assert_torch_agrees(DISTRIBUTION, raw_outputs(1), FRAME, LIMITS)


def test_half_precision_outputs_give_the_results_of_the_rounded_numbers():
    halves = [output.astype(np.float16) for output in raw_outputs(2)]
    exact = DISTRIBUTION.decode([half.astype(np.float32) for half in halves], FRAME, LIMITS)
    for a, b in zip(DISTRIBUTION.decode(halves, FRAME, LIMITS), exact, strict=True):
        assert len(b.anchor) > 0
        assert_same_boxes(a, (b.xyxy, b.confidence, b.class_id, b.anchor))


def test_nothing_found_keeps_shapes_and_types():
    for boxes in DISTRIBUTION.decode(raw_outputs(3), FRAME, BoxLimits(1.0, iou=0.5, max_detections=300)):
        assert_same_boxes(boxes, (np.empty((0, 4)), [], [], []))


def test_the_number_of_classes_is_read_from_shapes():
    shapes = [output.shape for output in raw_outputs(4)]
    assert DISTRIBUTION.count_classes(shapes) == CLASSES
    assert DISTRIBUTION.count_classes([(None, None, None)] * 8) is None
    with pytest.raises(CorruptedModelPackageError, match="do not have the layout"):
        DISTRIBUTION.check(shapes[:6], None)


def test_outputs_of_another_architecture_are_refused():
    with pytest.raises(CorruptedModelPackageError) as caught:
        DISTRIBUTION.decode([np.zeros((1, 84, 8400), np.float32)], FRAME, LIMITS)
    assert str(caught.value) == (
        "the outputs of the graph do not have the layout of its architecture.\n"
        "needs four outputs (B, n, C), then four (B, n, 4 * bins); found: (1, 84, 8400)\n"
        "name the architecture and task that this file was exported from, or export it again"
    )


def test_outputs_that_do_not_fit_the_frame_are_refused():
    with pytest.raises(CorruptedModelPackageError) as caught:
        DISTRIBUTION.decode(raw_outputs(0), (800, 608), LIMITS)
    assert str(caught.value) == (
        "the output of the graph does not fit an input of 800x608 pixels (height x width).\n"
        "needs 10105 rows for stride 8, 16, 32, 64; found: 310 rows\n"
        "name the architecture and task that this file was exported from, or export it again"
    )
