from __future__ import annotations

import numpy as np
import pytest

from decoders.independent_nms import assert_same_boxes, assert_torch_agrees, torch_decode
from inference_models.decoders.grid import YOLOX, grid_cells
from inference_models.decoders.types import BoxLimits
from inference_models.errors import CorruptedModelPackageError
from optional import torch

FRAME = (96, 160)
ROWS = 12 * 20 + 6 * 10 + 3 * 5
CLASSES = 4


def raw_output(seed, batch=3):
    rng = np.random.default_rng(seed)
    box = rng.normal(0, 1, (batch, ROWS, 4))
    return np.concatenate([box, rng.random((batch, ROWS, 1 + CLASSES))], axis=2).astype(np.float32)


def decoded_cell_by_cell(rows):
    """Three nested loops over stride, row and column."""
    boxes, index = [], 0
    for stride in (8, 16, 32):
        for y in range(FRAME[0] // stride):
            for x in range(FRAME[1] // stride):
                dx, dy, w, h = torch.from_numpy(rows[index, :4])
                cx, cy, w, h = (x + dx) * stride, (y + dy) * stride, w.exp() * stride, h.exp() * stride
                boxes.append(torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]))
                index += 1
    return torch.stack(boxes), torch.from_numpy(rows[:, 4:5]) * torch.from_numpy(rows[:, 5:])


@pytest.mark.parametrize("confidence", [0.1, 0.5, np.array([0.1, 0.9, 0.4, 0.6], np.float32)])
def test_every_image_of_a_batch_gives_what_loops_over_cells_give(confidence):
    output = raw_output(0)
    found = YOLOX.decode([output], FRAME, BoxLimits(confidence, iou=0.3, max_detections=300))
    for boxes, rows in zip(found, output, strict=True):
        assert_same_boxes(boxes, torch_decode(*decoded_cell_by_cell(rows), confidence, 0.3, 300))


def test_torch_tensors_give_the_same_numbers_as_torch_tensors():
    assert_torch_agrees(YOLOX, [raw_output(1)], FRAME, BoxLimits(0.3, iou=0.3, max_detections=300))


def test_half_precision_outputs_give_the_results_of_the_rounded_numbers():
    half = raw_output(2).astype(np.float16)
    limits = BoxLimits(0.3, iou=0.3, max_detections=300)
    for a, b in zip(
        YOLOX.decode([half], FRAME, limits), YOLOX.decode([half.astype(np.float32)], FRAME, limits), strict=True
    ):
        assert len(b.anchor) > 0
        assert_same_boxes(a, (b.xyxy, b.confidence, b.class_id, b.anchor))


def test_nothing_found_keeps_shapes_and_types():
    for boxes in YOLOX.decode([raw_output(3)], FRAME, BoxLimits(1.0, iou=0.3, max_detections=300)):
        assert_same_boxes(boxes, (np.empty((0, 4)), [], [], []))


def test_an_absurd_size_does_not_overflow():
    output = raw_output(4, batch=1)
    output[0, :, 2:4] = 1e4
    (found,) = YOLOX.decode([output], FRAME, BoxLimits(0.2, iou=0.3, max_detections=300))
    assert np.isfinite(found.xyxy).all()


def test_cells_run_row_by_row_stride_after_stride():
    cells = grid_cells((16, 24), (8, 16))
    expected = [(x, y, 8) for y in range(2) for x in range(3)] + [(0, 0, 16), (1, 0, 16)]
    assert cells.tolist() == [list(map(float, cell)) for cell in expected]


def test_the_number_of_classes_is_read_from_shapes():
    assert YOLOX.count_classes([(1, 3549, 85)]) == 80
    assert YOLOX.count_classes([(None, None, None)]) is None
    with pytest.raises(CorruptedModelPackageError, match="do not have the layout"):
        YOLOX.count_classes([(1, 3549, 5)])


def test_an_output_that_does_not_fit_the_frame_is_refused():
    with pytest.raises(CorruptedModelPackageError) as caught:
        YOLOX.decode([raw_output(0)], (416, 416), BoxLimits(0.3, iou=0.3, max_detections=300))
    assert str(caught.value) == (
        "the output of the graph does not fit an input of 416x416 pixels (height x width).\n"
        "needs 3549 rows for stride 8, 16, 32; found: 315 rows\n"
        "name the architecture and task that this file was exported from, or export it again"
    )
