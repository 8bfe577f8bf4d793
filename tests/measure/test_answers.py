"""Whether answers are the same, for number formats with a gate and without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from inference_models.entities import Quantization
from inference_models.measure.answers import judge_answers, read_answers
from inference_models.parity.answers import low_threshold
from inference_models.predictions.classification import ClassificationPrediction, MultiLabelClassificationPrediction
from inference_models.predictions.detections import Detections
from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult

if TYPE_CHECKING:
    from inference_models.measure.answers import Judgement
    from inference_models.predictions.container import Prediction

FP32, FP16, INT8, BF16 = Quantization.FP32, Quantization.FP16, Quantization.INT8, Quantization.BF16


def boxes(*scores: float, away: float = 0.0) -> list[Prediction]:
    """One picture with objects side by side."""
    left = np.arange(len(scores), dtype=np.float32) * 100 + np.float32(away)
    xyxy = np.stack([left, left * 0, left + 50, left * 0 + 50], axis=1)
    return [Detections(xyxy, np.zeros(len(scores), np.int64), np.array(scores, np.float32))]


def classes(*scores: tuple[float, float]) -> list[Prediction]:
    """One picture per pair of scores."""
    return [ClassificationPrediction(np.array([int(np.argmax(pair))]), np.array([pair], np.float32)) for pair in scores]


def labels(*scores: float) -> list[Prediction]:
    found = np.array(scores, np.float32)
    return [MultiLabelClassificationPrediction(np.flatnonzero(found > 0.4), found)]


def judged(first: list[Prediction], second: list[Prediction], other: Quantization | None = INT8) -> Judgement:
    return judge_answers(first, second, (FP32, other))


class TestWithoutGate:
    def test_what_nine_of_ten_agree_on_passes(self) -> None:
        ten = boxes(*[0.9] * 10)
        assert judged(ten, boxes(*[0.7] * 9, 0.1)).beyond == ()
        assert judged(ten, boxes(*[0.7] * 8, 0.1, 0.1)).beyond == (
            "80% of the objects with a score above 0.5 are the same (int8 has no gate; at least 90% must be)",
        )
        assert judged(ten, boxes(*[0.9] * 10, away=40.0)).beyond != ()

    @pytest.mark.parametrize("kinds", [(FP32, INT8), (INT8, FP32), (INT8, INT8), (FP16, BF16), (BF16, None)])
    def test_holds_for_either_side(self, kinds: tuple[Quantization | None, Quantization | None]) -> None:
        same = [(0.9, 0.1)] * 5
        assert judge_answers(classes(*same), classes(*same), kinds).beyond == ()
        name = "bf16" if BF16 in kinds else "int8"
        assert judge_answers(classes(*same), classes(*same[:4], (0.1, 0.9)), kinds).beyond == (
            f"80% of the classes with a score above 0.5 are the same ({name} has no gate; at least 90% must be)",
        )

    def test_pictures_nobody_is_sure_of_do_not_count(self) -> None:
        first = [ClassificationPrediction(np.array([number]), np.full((1, 3), 0.33, np.float32)) for number in (0, 1)]
        sure = classes((0.9, 0.1))
        assert judged([*sure, first[0]], [*sure, first[1]]).beyond == ()
        unsure = judged(first, first[::-1])
        assert unsure.unjudged == "no gate for int8, and nothing was found with a score above 0.5"
        assert not unsure.found_nothing

    def test_labels_are_counted_one_by_one(self) -> None:
        assert judged(labels(*[0.9] * 10), labels(*[0.6] * 10)).beyond == ()
        assert judged(labels(*[0.9] * 10), labels(*[0.6] * 8, 0.2, 0.2)).beyond != ()

    def test_maps_are_compared_by_their_pixels(self) -> None:
        first, second = np.zeros((10, 10), np.int64), np.zeros((10, 10), np.int64)
        second[:1] = 1
        assert (
            judged([SemanticSegmentationResult(first, None)], [SemanticSegmentationResult(second, None)]).beyond == ()
        )
        second[:2] = 1
        assert judged([SemanticSegmentationResult(first, None)], [SemanticSegmentationResult(second, None)]).beyond == (
            "80% of the pixels are the same (int8 has no gate; at least 90% must be)",
        )


class TestJudging:
    def test_a_gate_is_asked_where_there_is_one(self) -> None:
        assert judged(boxes(0.9), boxes(0.9), FP32).beyond == ()
        assert judged(boxes(0.9), boxes(0.8), FP32).beyond != ()

    def test_nothing_found_is_no_agreement(self) -> None:
        found = judged(boxes(0.02), boxes(0.1), FP32)
        assert (found.beyond, found.unjudged, found.found_nothing) == ((), "nothing was found on these pictures", True)

    def test_answers_of_no_known_kind_are_not_judged(self) -> None:
        assert judged([], boxes(0.9), FP32).unjudged == "the reference gives nothing that can be compared"
        assert judged(boxes(0.9), [], FP32).unjudged == "it gives nothing that can be compared"

    def test_another_number_of_answers_disagrees(self) -> None:
        assert judged(boxes(0.9), boxes(0.9) * 2, FP32).beyond == ("it gave 2 answers instead of 1",)


class TestThreshold:
    def test_is_lowered_where_a_call_takes_one(self) -> None:
        class Model:
            def __call__(self, image: object, confidence: float = 0.4) -> list[Prediction]:
                return boxes(confidence)

        assert low_threshold(Model()) == {"confidence": 0.2}

    def test_is_lowered_where_only_the_last_stage_names_it(self) -> None:
        class Model:
            def __call__(self, image: object, **kwargs: float) -> list[Prediction]:
                return self.post_process(image, **kwargs)

            def post_process(self, raw: object, confidence: float = 0.4) -> list[Prediction]:
                return boxes(confidence)

        assert low_threshold(Model()) == {"confidence": 0.2}

    def test_is_left_where_there_is_none(self) -> None:
        assert low_threshold(lambda image: image) == {}


def test_answers_of_another_process_are_read_and_what_is_not_ours_is_left_out() -> None:
    (found,) = boxes(0.9)
    assert read_answers([found.to_dict(), {"type": "Dictionary"}]) == [found]
