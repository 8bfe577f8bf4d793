"""The bases that differ only in what they answer with."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from inference_models.predictions.action_recognition import ActionRecognitionPrediction
from inference_models.predictions.detections import Detections
from inference_models.predictions.key_points import KeyPoints
from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult
from inference_models.tasks.action_recognition import ActionRecognitionModel, VideoSampling
from inference_models.tasks.depth_estimation import DepthEstimationModel
from inference_models.tasks.keypoint_detection import KeyPointsDetectionModel
from inference_models.tasks.lifecycle import Drawable
from inference_models.tasks.open_vocabulary_object_detection import OpenVocabularyObjectDetectionModel
from inference_models.tasks.semantic_segmentation import SemanticSegmentationModel
from inference_models.tasks.structured_ocr import StructuredOCRModel
from inference_models.tasks.text_only_ocr import TextOnlyOCRModel

IMAGE = np.full((100, 120, 3), 90, np.uint8)
BOX = Detections(
    np.array([[30, 40, 90, 80]], np.float32),
    np.zeros(1, np.int32),
    np.ones(1, np.float32),
    bboxes_metadata=[{"text": "hi"}],
)
POINTS = KeyPoints(np.array([[[40, 50], [80, 70]]], np.float32), np.zeros(1, np.int32), np.ones((1, 2), np.float32))
REGIONS = SemanticSegmentationResult(np.arange(12000).reshape(100, 120) // 6000, np.ones((100, 120), np.float32))


class Stages:
    """Passes on what it was given and remembers the options."""

    class_names: ClassVar = ["thing", "other"]
    key_points_classes: ClassVar = [["left", "right"]]
    skeletons: ClassVar = [[(0, 1)]]

    @classmethod
    def from_pretrained(cls, model_name_or_path: str, **kwargs):
        return cls()

    def pre_process(self, images, **kwargs):
        self.options = [kwargs]
        return images, "meta"

    def forward(self, pre_processed_images, **kwargs):
        self.options.append(kwargs)
        return pre_processed_images

    def post_process(self, model_results, pre_processing_meta, **kwargs):
        self.options.append(kwargs)
        assert pre_processing_meta == "meta"
        return model_results


@pytest.mark.parametrize(
    ("base", "answer", "drawable"),
    [
        (SemanticSegmentationModel, [REGIONS], True),
        (KeyPointsDetectionModel, ([POINTS], [BOX]), True),
        (KeyPointsDetectionModel, ([POINTS], None), True),
        (StructuredOCRModel, (["hi"], [BOX]), True),
        (DepthEstimationModel, [np.zeros((4, 5))], False),
    ],
)
def test_the_answer_goes_through_three_stages_with_the_same_options(base: type, answer: object, drawable: bool) -> None:
    class Model(Stages, base[object, str, object]):
        pass

    model = Model()
    assert model(answer, level=3) is answer
    assert model.options == [{"level": 3}] * 3
    assert isinstance(model, Drawable) is drawable
    if drawable:
        assert (model.annotate(IMAGE, answer) != IMAGE).any()


def test_text_only_models_have_no_metadata() -> None:
    class Reader(TextOnlyOCRModel[list, list]):
        @classmethod
        def from_pretrained(cls, model_name_or_path, **kwargs):
            return cls()

        def pre_process(self, images, **kwargs):
            return images

        def forward(self, pre_processed_images, **kwargs):
            return pre_processed_images * kwargs["times"]

        def post_process(self, model_results, **kwargs):
            return [str(result) for result in model_results]

    assert Reader()([1, 2], times=2) == ["1", "2", "1", "2"]


def test_open_vocabulary_models_get_the_classes_in_forward_only() -> None:
    class Finder(OpenVocabularyObjectDetectionModel[list, list, list]):
        from_pretrained = Stages.from_pretrained
        pre_process = Stages.pre_process
        post_process = Stages.post_process

        def forward(self, pre_processed_images, classes, **kwargs):
            self.options.append(kwargs)
            return [BOX for _ in classes]

    model = Finder()
    assert model("image", ["a", "b"], confidence=0.1) == [BOX, BOX]
    assert model.infer("image", classes=["a"]) == [BOX]
    assert (model.annotate(IMAGE, [BOX]) != IMAGE).any()
    with pytest.raises(TypeError, match="classes"):
        model("image")


def test_the_skeleton_of_the_model_is_drawn() -> None:
    model = type("Model", (Stages, KeyPointsDetectionModel), {})()
    middle = model.annotate(IMAGE, ([POINTS], None))[59:62, 59:62]
    assert (middle != 90).any()
    model.skeletons = [[]]
    assert (model.annotate(IMAGE, ([POINTS], None))[59:62, 59:62] == 90).all()


@pytest.mark.parametrize(
    ("base", "missing"),
    [
        (SemanticSegmentationModel, "class_names"),
        (KeyPointsDetectionModel, "key_points_classes"),
        (KeyPointsDetectionModel, "skeletons"),
        (StructuredOCRModel, "class_names"),
        (DepthEstimationModel, "post_process"),
        (TextOnlyOCRModel, "forward"),
    ],
)
def test_a_model_without_one_of_its_members_cannot_be_made(base: type, missing: str) -> None:
    members = {name: member for name, member in vars(Stages).items() if not name.startswith("__")}
    type("Complete", (base,), members)()
    del members[missing]
    with pytest.raises(TypeError, match=missing):
        type("Incomplete", (base,), members)()


def test_an_action_model_says_which_frames_it_wants() -> None:
    class Jumps(ActionRecognitionModel):
        class_names = None

        @classmethod
        def from_pretrained(cls, model_name_or_path, **kwargs):
            return cls()

        def infer(
            self, frames, class_names=None, fps=None, confidence=None, duration_seconds=None, check_cancelled=None
        ):
            return [ActionRecognitionPrediction(0, len(frames) - 1, class_names[0], confidence)]

    model = Jumps()
    assert model([IMAGE] * 4, class_names=["jump"]) == [ActionRecognitionPrediction(0, 3, "jump")]
    assert model.video_sampling == VideoSampling(
        window_seconds=16.0, sample_fps=4.0, min_frames=4, max_frame_side=None, mode="sliding_window", max_frames=None
    )
    assert (model.span_semantics, model.supports_confidence, model.supports_observed_duration) == (
        "instances",
        False,
        False,
    )
    assert model.frame_storage_transform is None
    assert model.estimate_candidate_count(100) is None
    with pytest.raises(TypeError, match="infer"):
        type("Incomplete", (ActionRecognitionModel,), {"class_names": None, "from_pretrained": Jumps.from_pretrained})()
