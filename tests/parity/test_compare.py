from __future__ import annotations

import math

import numpy as np
import pytest

from inference_models.entities import Quantization
from inference_models.errors import InvalidParameterError
from inference_models.parity.compare import (
    FP16,
    FP32,
    GATES,
    Deviation,
    compare_predictions,
    gate_between,
    predictions_in,
)
from inference_models.predictions.classification import ClassificationPrediction, MultiLabelClassificationPrediction
from inference_models.predictions.detections import Detections
from inference_models.predictions.instances import InstanceDetections
from inference_models.predictions.key_points import KeyPoints
from inference_models.predictions.masks import InstancesRLEMasks
from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult

BOXES = [[0, 0, 100, 100], [200, 0, 300, 50], [0, 200, 40, 300]]


def detections(boxes: object = BOXES, scores: object = (0.9, 0.8, 0.7), classes: object = (0, 1, 1)) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int32), np.array(scores, np.float32)
    )


def test_equal_answers_are_within_every_gate() -> None:
    found = compare_predictions([detections()], [detections()])
    assert (found.objects, found.matched, found.matched_rate) == (3, 3, 1.0)
    assert (found.max_box_px, found.max_score, found.unmatched_scores) == (0, 0, ())
    assert found.beyond(FP32) == found.beyond(FP16) == ()


def test_the_largest_difference_is_the_one_that_counts() -> None:
    moved = np.add(BOXES, [[0, 0, 0.25, 0], [0, 0, 0, 0], [-1.5, 0, 0, 0]])
    found = compare_predictions([detections()], [detections(moved, scores=(0.9, 0.79, 0.705))])
    assert found.max_box_px == 1.5
    assert found.max_score == pytest.approx(0.01, abs=1e-6)
    assert found.beyond(FP32) == (
        "boxes differ by up to 1.50 px (allowed: 0.5)",
        "scores differ by up to 0.0100 (allowed: 0.001)",
    )


def test_an_object_that_only_one_side_has_counts_against_it_whichever_side_it_is() -> None:
    fewer = detections(BOXES[:2], (0.9, 0.8), (0, 1))
    for first, second in ((detections(), fewer), (fewer, detections())):
        found = compare_predictions([first], [second])
        assert (found.matched, found.matched_rate) == (2, pytest.approx(2 / 3))
        assert found.unmatched_scores == (pytest.approx(0.7),)
        assert found.beyond(FP32) == ("1 of 3 objects have no partner (allowed: none)",)


def test_fp16_may_lose_one_object_in_two_hundred() -> None:
    grid = [[x * 50, y * 50, x * 50 + 40, y * 50 + 40] for x in range(20) for y in range(20)]
    everything = detections(grid, [0.9] * 400, [0] * 400)
    for lost, wanted in ((2, ()), (3, ("3 of 400 objects have no partner (allowed: 0.5%)",))):
        some = detections(grid[lost:], [0.9] * (400 - lost), [0] * (400 - lost))
        assert compare_predictions([everything], [some]).beyond(FP16) == wanted


def test_another_class_in_the_same_place_is_said() -> None:
    found = compare_predictions([detections()], [detections(classes=(0, 1, 0))])
    assert (found.class_flips, len(found.unmatched_scores)) == (1, 2)
    assert found.beyond(FP32) == (
        "2 of 4 objects have no partner (allowed: none)",
        "1 objects have another class in the same place",
    )


def test_an_object_that_moved_has_no_partner_and_its_way_is_measured() -> None:
    found = compare_predictions([detections()], [detections([[0, 0, 100, 80], *BOXES[1:]])])
    assert (found.matched, found.max_box_px) == (2, 20)
    assert found.beyond(FP32) == (
        "2 of 4 objects have no partner (allowed: none)",
        "boxes differ by up to 20.00 px (allowed: 0.5)",
    )


def test_objects_that_neither_side_is_sure_of_are_not_compared() -> None:
    unsure = detections([*BOXES, [400, 400, 500, 500]], (0.9, 0.8, 0.7, 0.29), (0, 1, 1, 0))
    assert compare_predictions([unsure], [detections()]).beyond(FP32) == ()


def test_an_object_on_the_threshold_is_a_pair_where_both_sides_show_it() -> None:
    found = compare_predictions(
        [detections(scores=(0.9, 0.8, 0.3004))], [detections(scores=(0.9, 0.8, 0.2996))], least_score=0.3
    )
    assert (found.objects, found.matched) == (3, 3)
    assert found.max_score == pytest.approx(0.0008, abs=1e-6)
    assert found.beyond(FP32) == ()


def test_an_object_on_the_threshold_that_the_other_side_cut_off_does_not_count() -> None:
    cut = detections(BOXES[:2], (0.9, 0.8), (0, 1))
    near = compare_predictions([detections(scores=(0.9, 0.8, 0.3009))], [cut])
    assert (near.within_score(FP32), near.beyond(FP32)) == (1, ())
    assert near.matched_rate == pytest.approx(2 / 3)  # told, all the same
    far = compare_predictions([detections(scores=(0.9, 0.8, 0.302))], [cut])
    assert far.beyond(FP32) == ("1 of 3 objects have no partner (allowed: none)",)
    assert far.beyond(FP16) == ()


def test_no_object_at_all_is_told_apart_from_equal_ones() -> None:
    nothing = detections([], [], [])
    found = compare_predictions([nothing], [nothing])
    assert not found.compared
    assert found.matched_rate == 1.0
    assert compare_predictions([nothing], [detections()]).compared


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_is_beyond_every_gate_and_beyond_none(wrong: float) -> None:
    broken = detections([[wrong, 0, 100, 100], *BOXES[1:]])
    found = compare_predictions([detections()], [broken])
    assert found.beyond(None) == ("1 numbers of the answers are not finite",)
    assert found.beyond(FP32)[0] == "1 numbers of the answers are not finite"


def masks(shift: int) -> np.ndarray:
    dense = np.zeros((3, 300, 300), np.bool_)
    dense[0, :100, shift : 100 + shift] = dense[1, :50, 200:300] = True
    return dense


@pytest.mark.parametrize("as_runs", [False, True])
def test_masks_are_compared_by_overlap_dense_or_as_run_lengths(as_runs: bool) -> None:
    def instances(shift: int) -> InstanceDetections:
        plain = detections()
        mask = InstancesRLEMasks.from_dense(masks(shift)) if as_runs else masks(shift)
        return InstanceDetections(plain.xyxy, plain.class_id, plain.confidence, mask)

    found = compare_predictions([instances(0)], [instances(25)])
    assert found.min_mask_iou == pytest.approx(75 / 125)
    assert found.mean_mask_iou == pytest.approx((75 / 125 + 1 + 1) / 3)  # the third mask is empty on both sides
    assert found.beyond(FP16) == ("masks overlap by 0.867 in the mean (at least 0.98)",)
    assert compare_predictions([instances(0)], [instances(0)]).beyond(FP32) == ()


def test_masks_on_another_grid_do_not_overlap() -> None:
    plain = detections()
    first, second = (
        InstanceDetections(plain.xyxy, plain.class_id, plain.confidence, np.ones((3, size, size), np.bool_))
        for size in (100, 50)
    )
    assert compare_predictions([first], [second]).min_mask_iou == 0


def key_points(away: float = 0.0, score: float = 0.9) -> KeyPoints:
    xy = np.array([[[10, 10], [50, 90], [0, 0]]], np.float32)
    xy[0, 1] += [0.6 * away, 0.8 * away]
    return KeyPoints(xy, np.zeros(1, np.int32), np.array([[score, 0.8, 0]], np.float32))


def test_key_points_are_compared_where_both_sides_found_them() -> None:
    found = compare_predictions([key_points()], [key_points(away=1.0, score=0.85)])
    assert found.max_point_px == pytest.approx(1.0, abs=1e-5)
    assert found.max_score == pytest.approx(0.05, abs=1e-6)
    assert found.beyond(FP32) == (
        "key points differ by up to 1.00 px (allowed: 0.5)",
        "scores differ by up to 0.0500 (allowed: 0.001)",
    )
    assert compare_predictions([key_points()], [key_points()]).beyond(FP32) == ()


def test_key_points_that_only_one_side_found_are_compared_by_score() -> None:
    xy = np.random.default_rng(0).uniform(0, 100, (1, 17, 2)).astype(np.float32)
    sure, lost = (
        KeyPoints(xy, np.zeros(1, np.int32), np.full((1, 17), score, np.float32), detection_confidence=np.ones(1))
        for score in (0.95, 0.05)
    )
    for first, second in ((sure, lost), (lost, sure)):
        found = compare_predictions([first], [second])
        assert (found.matched, found.max_point_px) == (1, 0)
        assert found.beyond(FP32) == ("scores differ by up to 0.9000 (allowed: 0.001)",)


def test_key_points_that_neither_side_is_sure_of_are_not_compared() -> None:
    assert compare_predictions([key_points(score=0.29)], [key_points(score=0.1)]).beyond(FP32) == ()


@pytest.mark.parametrize("field", ["xy", "confidence", "detection_confidence"])
def test_key_points_that_are_no_numbers_fail_on_both_sides_too(field: str) -> None:
    plain = key_points()
    values = {"xy": plain.xy, "confidence": plain.confidence, "detection_confidence": np.ones(1, np.float32)}
    values[field] = np.full_like(values[field], math.nan)
    broken = KeyPoints(class_id=plain.class_id, **values)
    wanted = f"{2 * values[field].size} numbers of the answers are not finite"
    assert compare_predictions([broken], [broken]).beyond(None) == (wanted,)


def test_equal_boxes_in_another_order_are_equal_answers() -> None:
    twice = [BOXES[0], BOXES[0]]
    # Runtimes differ in the last digits, so that the nearest box may be that of the other object.
    jitter = [BOXES[0], [0, 0, 100, 100.0001]]
    first = detections(twice, (0.9, 0.5), (0, 0))
    for boxes, scores in ((twice, (0.5, 0.9)), (twice, (0.9, 0.5)), (jitter, (0.5, 0.9)), (jitter, (0.9, 0.5))):
        found = compare_predictions([first], [detections(boxes, scores, (0, 0))])
        assert (found.matched, found.beyond(FP32)) == (2, ())


def test_a_small_box_may_move_as_far_as_a_large_one() -> None:
    small = [[0, 0, 4, 4]]
    for away, within in ((0.3, True), (0.6, False)):
        other = detections(np.add(small, [away, 0, away, 0]), (0.9,), (0,))
        found = compare_predictions([detections(small, (0.9,), (0,))], [other])
        assert found.max_box_px == pytest.approx(away, abs=1e-6)
        assert (found.beyond(FP32) == ()) is within
    wider = compare_predictions([detections(small, (0.9,), (0,))], [other], box_px=FP16.box_px)
    assert (wider.matched, wider.beyond(FP16)) == (1, ())


def test_objects_without_any_key_point_are_compared_too() -> None:
    nothing = KeyPoints(np.zeros((1, 3, 2), np.float32), np.zeros(1, np.int32), np.zeros((1, 3), np.float32))
    assert compare_predictions([nothing], [nothing]).beyond(FP32) == ()


def classes(*rows: tuple[float, ...]) -> ClassificationPrediction:
    scores = np.array(rows, np.float32)
    return ClassificationPrediction(scores.argmax(axis=1).astype(np.int64), scores)


def test_another_best_class_is_counted() -> None:
    found = compare_predictions([classes((0.9, 0.1), (0.8, 0.2))], [classes((0.9, 0.1), (0.4, 0.6))])
    assert (found.classified, found.top1_flips) == (2, 1)
    assert found.beyond(FP32) == (
        "scores differ by up to 0.4000 (allowed: 0.001)",
        "the best class is another one on 1 of 2 images",
    )


def test_a_tie_that_is_decided_otherwise_does_not_count() -> None:
    found = compare_predictions([classes((0.5002, 0.4998))], [classes((0.4998, 0.5002))])
    assert (found.top1_flips, found.beyond(FP32)) == (1, ())


def labels(*ids: int, scores: tuple[float, ...]) -> MultiLabelClassificationPrediction:
    return MultiLabelClassificationPrediction(np.array(ids, np.int64), np.array(scores, np.float32))


def test_labels_that_one_side_gives_are_counted() -> None:
    found = compare_predictions([labels(0, scores=(0.9, 0.4))], [labels(0, 1, scores=(0.9, 0.6))])
    assert (found.classified, found.label_flips) == (1, 1)
    assert found.beyond(FP32) == (
        "scores differ by up to 0.2000 (allowed: 0.001)",
        "1 labels are given by one side only",
    )


def test_segmentation_maps_are_compared_pixel_by_pixel() -> None:
    first = np.zeros((10, 10), np.int64)
    second = first.copy()
    second[0, 0] = 3
    sure = np.full((10, 10), 0.9, np.float32)
    pair = [SemanticSegmentationResult(first, sure)], [SemanticSegmentationResult(second, sure)]
    found = compare_predictions(*pair)
    assert (found.pixels, found.pixel_flips) == (100, 1)
    assert found.beyond(FP32) == ("1.00% of the pixels have another class (allowed: 0.1%)",)


def test_scores_of_a_map_that_are_no_numbers_fail_also_where_one_side_has_none() -> None:
    found = np.zeros((2, 2), np.int64)
    broken = SemanticSegmentationResult(found, np.full((2, 2), math.nan, np.float32))
    silent = SemanticSegmentationResult(found, None)
    assert compare_predictions([silent], [broken]).beyond(None) == ("4 numbers of the answers are not finite",)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (classes((0.9, 0.1)), "answer 0 is ClassificationPrediction, that of the reference Detections"),
    ],
)
def test_what_cannot_be_laid_side_by_side_is_said(other: object, words: str) -> None:
    found = compare_predictions([detections()], [other])
    assert found.beyond(None) == (words,)


def test_other_numbers_of_classes_cannot_be_compared() -> None:
    found = compare_predictions([classes((0.9, 0.1))], [classes((0.8, 0.1, 0.1))])
    assert found.beyond(None) == ("answer 0 has the shape (1, 3), that of the reference (1, 2)",)


def test_another_number_of_answers_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        compare_predictions([detections()], [])
    assert str(caught.value) == (
        "the answers cannot be compared.\nneeds 1 predictions, as many as the reference has; found: 0"
    )


def test_torch_tensors_are_compared_with_arrays() -> None:
    pytest.importorskip("torch")
    assert compare_predictions([detections()], [detections().torch()]).beyond(FP32) == ()


def test_predictions_are_found_wherever_a_model_puts_them() -> None:
    first, second = detections(), classes((0.9, 0.1))
    assert list(predictions_in(first)) == [first]
    assert list(predictions_in(([first], [second], None))) == [first, second]
    assert list(predictions_in(np.zeros(3))) == []


@pytest.mark.parametrize(
    ("first", "second", "gate"),
    [
        (Quantization.FP32, Quantization.FP32, FP32),
        (Quantization.FP32, None, FP32),
        (Quantization.FP32, Quantization.FP16, FP16),
        (Quantization.FP16, Quantization.FP32, FP16),
        (Quantization.FP32, Quantization.INT8, None),
        (Quantization.BF16, Quantization.FP32, None),
    ],
)
def test_the_coarser_of_two_decides_the_gate(first: Quantization, second: Quantization | None, gate: object) -> None:
    assert gate_between(first, second) == gate


def test_the_gates_are_those_that_are_documented() -> None:
    assert (FP32.matched, FP32.box_px, FP32.score) == (1.0, 0.5, 0.001)
    assert (FP16.matched, FP16.box_px, FP16.score) == (0.995, 2.0, 0.01)
    assert set(GATES) == {Quantization.FP32, Quantization.FP16, Quantization.UNKNOWN}
    assert Deviation().beyond(None) == ()
