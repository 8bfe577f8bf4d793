from __future__ import annotations

import numpy as np
import pytest

from decoders.independent_nms import assert_same_boxes, assert_torch_agrees, centred_to_corners, torch_decode
from inference_models.decoders.boxes import (
    ANCHOR_BASED,
    ANCHOR_FREE,
    BOXES_AND_SCORES,
    FINAL,
    FINAL_OR_RAW,
    FINAL_STRICT,
    FINAL_STRICT_OR_RAW,
    OBJECTNESS_LOGITS,
)
from inference_models.decoders.types import BoxLimits
from inference_models.errors import CorruptedModelPackageError
from optional import torch

FRAME = (320, 416)
LIMITS = BoxLimits(confidence=0.4, iou=0.3, max_detections=300)
BATCH, ANCHORS, CLASSES = 3, 400, 5
PER_CLASS = np.array([0.2, 0.9, 0.5, 0.99, 0.4], np.float32)


def centred(rng):
    scale = np.array([400, 300, 120, 90], np.float32)
    return rng.random((BATCH, ANCHORS, 4), dtype=np.float32) * scale


def cornered(rng):
    return np.stack([centred_to_corners(image).numpy() for image in centred(rng)])


def anchor_free(rng):
    box, score = centred(rng), rng.random((BATCH, ANCHORS, CLASSES), dtype=np.float32)
    output = np.ascontiguousarray(np.concatenate([box, score], axis=2).transpose(0, 2, 1))
    return [output], [(centred_to_corners(b), s) for b, s in zip(box, score, strict=True)]


def anchor_based(rng):
    box, score = centred(rng), rng.random((BATCH, ANCHORS, CLASSES), dtype=np.float32)
    objectness = rng.random((BATCH, ANCHORS, 1), dtype=np.float32)
    output = np.concatenate([box, objectness, score], axis=2)
    scored = torch.from_numpy(objectness) * torch.from_numpy(score)
    return [output], [(centred_to_corners(b), s) for b, s in zip(box, scored, strict=True)]


def boxes_and_scores(rng):
    box, score = cornered(rng), rng.random((BATCH, ANCHORS, CLASSES), dtype=np.float32)
    return [box, score], list(zip(box, score, strict=True))


def objectness_logits(rng):
    box = cornered(rng)
    objectness = rng.normal(1, 40, (BATCH, ANCHORS, 1)).astype(np.float32)
    logits = rng.normal(0, 3, (BATCH, ANCHORS, CLASSES)).astype(np.float32)
    scored = torch.sigmoid(torch.from_numpy(objectness)) * torch.sigmoid(torch.from_numpy(logits))
    return [box, objectness, logits], list(zip(box, scored, strict=True))


LAYOUTS = [
    pytest.param(ANCHOR_FREE, anchor_free, id="anchor-free"),
    pytest.param(ANCHOR_BASED, anchor_based, id="anchor-based"),
    pytest.param(BOXES_AND_SCORES, boxes_and_scores, id="boxes-and-scores"),
    pytest.param(OBJECTNESS_LOGITS, objectness_logits, id="objectness-logits"),
]


@pytest.mark.parametrize(("decoder", "build"), LAYOUTS)
@pytest.mark.parametrize("confidence", [0.0, 0.4, 0.97, PER_CLASS], ids=["all", "0.4", "0.97", "per-class"])
def test_every_image_of_a_batch_gives_what_an_independent_loop_gives(decoder, build, confidence):
    outputs, expected = build(np.random.default_rng(0))
    found = decoder.decode(outputs, FRAME, BoxLimits(confidence, iou=0.3, max_detections=50))
    assert len(found) == BATCH
    for boxes, (xyxy, scores) in zip(found, expected, strict=True):
        assert_same_boxes(boxes, torch_decode(xyxy, scores, confidence, 0.3, 50))


@pytest.mark.parametrize(("decoder", "build"), LAYOUTS)
@pytest.mark.parametrize("confidence", [0.4, PER_CLASS], ids=["0.4", "per-class"])
def test_torch_tensors_give_the_same_numbers_as_torch_tensors(decoder, build, confidence):
    outputs, _ = build(np.random.default_rng(1))
    assert_torch_agrees(decoder, outputs, FRAME, BoxLimits(confidence, iou=0.3, max_detections=300))


@pytest.mark.parametrize(("decoder", "build"), LAYOUTS)
def test_a_box_that_shows_nothing_neither_suppresses_nor_takes_a_place(decoder, build):
    outputs, expected = build(np.random.default_rng(8))
    limits = BoxLimits(0.0, iou=0.3, max_detections=40, shows=lambda xyxy: xyxy[:, 0] > 150)
    for boxes, (xyxy, scores) in zip(decoder.decode(outputs, FRAME, limits), expected, strict=True):
        shown = (torch.as_tensor(xyxy)[:, :1] > 150) * torch.as_tensor(scores)
        assert len(boxes.anchor) == 40
        assert_same_boxes(boxes, torch_decode(xyxy, shown, 0.0, 0.3, 40))


@pytest.mark.parametrize(("decoder", "build"), LAYOUTS)
def test_half_precision_outputs_give_float32_results_of_the_rounded_numbers(decoder, build):
    outputs, _ = build(np.random.default_rng(2))
    halves = [output.astype(np.float16) for output in outputs]
    found = decoder.decode(halves, FRAME, LIMITS)
    exact = decoder.decode([half.astype(np.float32) for half in halves], FRAME, LIMITS)
    for a, b in zip(found, exact, strict=True):
        assert len(b.anchor) > 0
        assert_same_boxes(a, (b.xyxy, b.confidence, b.class_id, b.anchor))


@pytest.mark.parametrize(("decoder", "build"), LAYOUTS)
def test_nothing_found_keeps_shapes_and_types(decoder, build):
    outputs, _ = build(np.random.default_rng(3))
    for boxes in decoder.decode(outputs, FRAME, BoxLimits(confidence=1.0, iou=0.3, max_detections=300)):
        assert_same_boxes(boxes, (np.empty((0, 4)), [], [], []))


@pytest.mark.parametrize(("decoder", "build"), LAYOUTS)
def test_the_number_of_classes_is_read_from_shapes(decoder, build):
    outputs, _ = build(np.random.default_rng(4))
    shapes = [output.shape for output in outputs]
    assert decoder.count_classes(shapes) == CLASSES
    assert decoder.count_classes([(None,) * len(shape) for shape in shapes]) is None
    with pytest.raises(CorruptedModelPackageError, match="do not have the layout"):
        decoder.count_classes([(1, 300)])


def one_anchor(score):
    return [np.array([10, 10, 4, 4, score, 0.1], np.float32).reshape(1, 6, 1)]


@pytest.mark.parametrize("confidence", [0.4, np.array([0.4, 0.0], np.float32)], ids=["one", "per-class"])
def test_a_score_equal_to_the_threshold_does_not_pass_without_suppression_in_the_graph(confidence):
    limits = BoxLimits(confidence, iou=0.3, max_detections=300)
    assert len(ANCHOR_FREE.decode(one_anchor(np.float32(0.4)), FRAME, limits)[0].anchor) == 0
    above = np.nextafter(np.float32(0.4), np.float32(1))
    assert len(ANCHOR_FREE.decode(one_anchor(above), FRAME, limits)[0].anchor) == 1


def test_an_anchor_whose_best_class_fails_its_threshold_does_not_count_for_another_class():
    rows = np.array([10, 10, 4, 4, 0.6, 0.5], np.float32).reshape(1, 6, 1)
    found = ANCHOR_FREE.decode([rows], FRAME, BoxLimits(np.array([0.7, 0.1]), iou=0.3, max_detections=300))
    assert len(found[0].anchor) == 0


def test_a_yolov5_score_is_objectness_times_class_probability():
    row = np.array([[[50, 40, 20, 10, 0.9, 0.05, 0.8]]], np.float32)
    (found,) = ANCHOR_BASED.decode([row], FRAME, LIMITS)
    np.testing.assert_allclose(found.confidence, [0.72], atol=1e-6)
    np.testing.assert_allclose(found.xyxy, [[40, 35, 60, 45]])
    assert found.class_id.tolist() == [1]
    weak = np.array([[[50, 40, 20, 10, 0.9, 0.05, 0.04]]], np.float32)
    assert len(ANCHOR_BASED.decode([weak], FRAME, LIMITS)[0].anchor) == 0


def test_class_agnostic_suppression_reaches_over_classes():
    outputs, expected = anchor_free(np.random.default_rng(5))
    limits = BoxLimits(0.4, iou=0.3, max_detections=300, class_agnostic=True)
    for boxes, (xyxy, scores) in zip(ANCHOR_FREE.decode(outputs, FRAME, limits), expected, strict=True):
        flat = torch.from_numpy(scores).max(dim=1).values[:, None]
        assert boxes.anchor.tolist() == torch_decode(xyxy, flat, 0.4, 0.3, 300)[3].tolist()


def test_a_score_that_is_not_a_number_is_never_a_detection():
    outputs, _ = anchor_free(np.random.default_rng(6))
    outputs[0][0, 4:, :] = np.nan
    assert len(ANCHOR_FREE.decode(outputs, FRAME, LIMITS)[0].anchor) == 0


FINAL_ROWS = np.array(
    [
        [10, 20, 30, 40, 0.5, 2],
        [11, 20, 30, 40, 0.9, 2],
        [1, 2, 3, 4, 0.4, 0],
        [5, 6, 7, 8, 0.9, 1],
        [0, 0, 0, 0, 0.0, 0],
        [0, 0, 0, 0, 0.8, -1],
        [np.nan, 0, 1, 1, 0.8, 1],
    ],
    np.float32,
)


def final(rows, decoder, confidence, limit=300):
    return decoder.decode([rows[None]], FRAME, BoxLimits(confidence, iou=0.3, max_detections=limit))[0]


def test_final_rows_pass_from_the_threshold_on_and_overlap_freely():
    found = final(FINAL_ROWS, FINAL, 0.4)
    order = [1, 3, 0, 2]
    expected = FINAL_ROWS[order]
    assert_same_boxes(found, (expected[:, :4], expected[:, 4], expected[:, 5], order))


def test_final_rows_that_show_nothing_take_no_place():
    limits = BoxLimits(0.1, iou=0.3, max_detections=2, shows=lambda xyxy: xyxy[:, 0] != 11)
    assert FINAL.decode([FINAL_ROWS[None]], FRAME, limits)[0].anchor.tolist() == [3, 0]


def test_strict_final_rows_must_be_above_the_threshold():
    assert final(FINAL_ROWS, FINAL_STRICT, 0.4).anchor.tolist() == [1, 3, 0]


def test_padding_rows_are_no_detections_at_any_threshold():
    assert final(FINAL_ROWS, FINAL, 0.0).anchor.tolist() == [1, 3, 0, 2]


def test_final_rows_keep_to_the_thresholds_of_their_classes():
    assert final(FINAL_ROWS, FINAL, np.array([0.4, 0.95, 0.6])).anchor.tolist() == [1, 2]


@pytest.mark.parametrize("decoder", [FINAL, FINAL_STRICT])
def test_final_rows_are_cut_to_the_best(decoder):
    assert final(FINAL_ROWS, decoder, 0.1, limit=2).anchor.tolist() == [1, 3]


@pytest.mark.parametrize("decoder", [FINAL, FINAL_STRICT])
def test_no_final_row_keeps_shapes_and_types(decoder):
    for rows in (FINAL_ROWS, FINAL_ROWS[:0]):
        assert_same_boxes(final(rows, decoder, 1.0), (np.empty((0, 4)), [], [], []))


@pytest.mark.parametrize("decoder", [FINAL, FINAL_STRICT])
def test_final_rows_of_torch_and_of_half_precision_agree(decoder):
    rng = np.random.default_rng(7)
    rows = np.concatenate([rng.random((3, 40, 5)), rng.integers(0, 4, (3, 40, 1))], axis=2).astype(np.float32)
    assert_torch_agrees(decoder, [rows], FRAME, LIMITS)
    halves = rows.astype(np.float16)
    for a, b in zip(
        decoder.decode([halves], FRAME, LIMITS), decoder.decode([halves.astype(np.float32)], FRAME, LIMITS), strict=True
    ):
        assert_same_boxes(a, (b.xyxy, b.confidence, b.class_id, b.anchor))


def test_final_rows_do_not_say_how_many_classes_there_are():
    assert FINAL.count_classes([(1, 300, 6)]) is None


def test_a_class_without_a_threshold_is_refused():
    with pytest.raises(CorruptedModelPackageError) as caught:
        final(FINAL_ROWS, FINAL, np.array([0.4, 0.4]))
    assert str(caught.value) == (
        "the graph reports class 2, and there are thresholds for 2 classes only.\n"
        "needs class ids from 0 to 1; found: 2\n"
        "give one label for every class of the graph."
    )


@pytest.mark.parametrize(
    ("decoder", "shapes", "needs", "found"),
    [
        (ANCHOR_FREE, [(1, 84)], "one output (B, 4 + C, N)", "(1, 84)"),
        (ANCHOR_FREE, [(1, 4, 100)], "one output (B, 4 + C, N)", "(1, 4, 100)"),
        (ANCHOR_BASED, [], "one output (B, N, 5 + C)", "no output"),
        (BOXES_AND_SCORES, [(1, 9, 4)], "two outputs (B, N, 4), (B, N, C)", "(1, 9, 4)"),
        (
            OBJECTNESS_LOGITS,
            [(1, 9, 4), (1, 9, 2), (1, 9, 3)],
            "three outputs (B, N, 4), (B, N, 1), (B, N, C)",
            "(1, 9, 4), (1, 9, 2), (1, 9, 3)",
        ),
        (FINAL, [(1, 84, 8400)], "one output (B, M, 6)", "(1, 84, 8400)"),
        (FINAL_STRICT, [(1, 300, 7)], "one output (B, M, 6)", "(1, 300, 7)"),
    ],
)
def test_outputs_of_another_architecture_are_refused(decoder, shapes, needs, found):
    with pytest.raises(CorruptedModelPackageError) as caught:
        decoder.decode([np.zeros(shape, np.float32) for shape in shapes], FRAME, LIMITS)
    assert str(caught.value) == (
        "the outputs of the graph do not have the layout of its architecture.\n"
        f"needs {needs}; found: {found}\n"
        "name the architecture and task that this file was exported from, or export it again"
    )


@pytest.mark.parametrize("decoder", [FINAL_OR_RAW, FINAL_STRICT_OR_RAW])
def test_the_shape_tells_final_rows_from_raw_columns(decoder):
    raw = np.zeros((1, 6, 84), np.float32)
    raw[0, :, 5], raw[0, :, 6] = [20, 20, 20, 20, 0, 0.9], [21, 20, 20, 20, 0, 0.8]
    final = np.zeros((1, 300, 6), np.float32)
    final[0, 7] = [10, 10, 30, 30, 0.9, 1]
    for output, classes in ((raw, 2), (final, None)):
        (boxes,) = decoder.decode([output], FRAME, LIMITS)
        assert (boxes.xyxy.tolist(), boxes.class_id.tolist()) == ([[10, 10, 30, 30]], [1])
        assert decoder.count_classes([output.shape]) == classes


def some_boxes(classes):
    boxes, scores = np.zeros((1, 84, 4), np.float32), np.zeros((1, 84, classes), np.float32)
    boxes[0, 5], scores[0, 5, 1] = [10, 10, 30, 30], 0.9
    return boxes, scores


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("classes", "names"), [(80, ("913", "904")), (2, ("a", "b")), (4, ("pred_boxes", "pred_scores"))]
)
def test_boxes_and_scores_are_told_by_shapes_or_names(swapped, classes, names):
    outputs = some_boxes(classes)
    if swapped:
        outputs, names = outputs[::-1], names[::-1]
    decoder = BOXES_AND_SCORES.named(names)
    assert decoder.count_classes([output.shape for output in outputs]) == classes
    (boxes,) = decoder.decode(outputs, FRAME, LIMITS)
    assert (boxes.xyxy.tolist(), boxes.class_id.tolist()) == ([[10, 10, 30, 30]], [1])


@pytest.mark.parametrize("names", [("913", "904"), ("boxes", "boxes2"), ("box_scores", "box_scores2")])
def test_outputs_that_nothing_tells_apart_are_refused(names):
    with pytest.raises(CorruptedModelPackageError) as caught:
        BOXES_AND_SCORES.named(names).decode(some_boxes(4), FRAME, LIMITS)
    assert str(caught.value) == (
        "neither shapes nor names tell which output of the graph holds the boxes.\n"
        "needs two outputs (B, N, 4), (B, N, C), with 'box' and 'score' in their names; found: (1, 84, 4), (1, 84, 4)\n"
        "name the outputs when the graph is exported: output_names=[...]"
    )


@pytest.mark.parametrize("classes", [1, 5])
def test_objectness_may_come_in_any_place(classes):
    rng = np.random.default_rng(7)
    box, objectness = cornered(rng), rng.normal(1, 40, (BATCH, ANCHORS, 1)).astype(np.float32)
    logits = rng.normal(0, 3, (BATCH, ANCHORS, classes)).astype(np.float32)
    expected = OBJECTNESS_LOGITS.decode([box, objectness, logits], FRAME, LIMITS)
    for found, boxes in zip(OBJECTNESS_LOGITS.decode([logits, objectness, box], FRAME, LIMITS), expected, strict=True):
        np.testing.assert_array_equal(found.xyxy, boxes.xyxy)
        np.testing.assert_array_equal(found.confidence, boxes.confidence)
