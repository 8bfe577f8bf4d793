"""The public bases of models: what they promise to those who write one, and to those who call it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from inference_models.entities import ResolvedModelMetadata
from inference_models.predictions.action_recognition import ActionRecognitionPrediction
from inference_models.predictions.classification import ClassificationPrediction, MultiLabelClassificationPrediction
from inference_models.predictions.detections import Detections
from inference_models.predictions.instances import InstanceDetections
from inference_models.predictions.key_points import KeyPoints
from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult
from inference_models.tasks import find_task, known_tasks
from inference_models.tasks.action_recognition import ActionRecognitionModel, VideoSampling
from inference_models.tasks.classification import ClassificationModel
from inference_models.tasks.depth_estimation import DepthEstimationModel
from inference_models.tasks.instance_models import InstanceSegmentationModel
from inference_models.tasks.key_point_models import KeyPointsDetectionModel
from inference_models.tasks.multi_label_classification import MultiLabelClassificationModel
from inference_models.tasks.object_detection import ObjectDetectionModel
from inference_models.tasks.open_vocabulary_object_detection import OpenVocabularyObjectDetectionModel
from inference_models.tasks.semantic_segmentation import SemanticSegmentationModel
from inference_models.tasks.stages import Drawable, ModelLifecycle
from inference_models.tasks.structured_ocr import StructuredOCRModel
from inference_models.tasks.text_only_ocr import TextOnlyOCRModel
from optional import torch

IMAGE = np.full((100, 120, 3), 90, np.uint8)
ONE = (np.array([[30, 40, 90, 80]], np.float32), np.zeros(1, np.int32), np.ones(1, np.float32))
BOX = Detections(*ONE, bboxes_metadata=[{"text": "hi"}])
MASK = InstanceDetections(*ONE, np.ones((1, 100, 120), bool))
POINTS = KeyPoints(np.array([[[40, 50], [80, 70]]], np.float32), np.zeros(1, np.int32), np.ones((1, 2), np.float32))
REGIONS = SemanticSegmentationResult(np.arange(12000).reshape(100, 120) // 6000, np.ones((100, 120), np.float32))
SCORES = np.array([[0.2, 0.8]], np.float32)
CLASSES = ClassificationPrediction(np.array([1]), SCORES)
LABELS = MultiLabelClassificationPrediction(np.array([1]), SCORES[0])


class Stages:
    """Passes on what it was given and remembers the options."""

    class_names: ClassVar = ["thing", "other"]
    key_points_classes: ClassVar = [["left", "right"]]
    skeletons: ClassVar = [[(0, 1)]]
    supported_mask_formats: ClassVar = {"dense"}

    def pre_process(self, images: Any, **kwargs: Any) -> Any:
        self.options = [kwargs]
        return images, "meta"

    def forward(self, pre_processed_images: Any, **kwargs: Any) -> Any:
        self.options.append(kwargs)
        return pre_processed_images

    def post_process(self, model_results: Any, pre_processing_meta: str, **kwargs: Any) -> Any:
        self.options.append(kwargs)
        assert pre_processing_meta == "meta"
        return model_results


class PlainStages(Stages):
    """The same for answers that do not depend on where in the image the model looked."""

    def pre_process(self, images: Any, **kwargs: Any) -> Any:
        self.options = [kwargs]
        return images

    def post_process(self, model_results: Any, **kwargs: Any) -> Any:
        self.options.append(kwargs)
        return model_results


@pytest.mark.parametrize(
    ("base", "stages", "answer"),
    [
        (ObjectDetectionModel, Stages, [BOX]),
        (InstanceSegmentationModel, Stages, [MASK]),
        (SemanticSegmentationModel, Stages, [REGIONS]),
        (KeyPointsDetectionModel, Stages, ([POINTS], [BOX])),
        (KeyPointsDetectionModel, Stages, ([POINTS], None)),
        (StructuredOCRModel, Stages, (["hi"], [BOX])),
        (DepthEstimationModel, Stages, [np.ones(IMAGE.shape[:2], np.float32)]),
        (ClassificationModel, PlainStages, CLASSES),
        (MultiLabelClassificationModel, PlainStages, [LABELS]),
        (TextOnlyOCRModel, PlainStages, ["hi"]),
    ],
)
def test_the_answer_goes_through_three_stages_with_the_same_options(base: Any, stages: type, answer: Any) -> None:
    class Model(stages, base[object, object]):
        pass

    model = Model()
    assert model(answer, level=3) is model.infer(answer, level=3) is answer
    assert model.options == [{"level": 3}] * 3
    if isinstance(model, Drawable):
        drawn = model.annotate(IMAGE, answer)
        assert (drawn.shape, drawn.dtype, (drawn != IMAGE).any()) == (IMAGE.shape, np.uint8, True)
    assert isinstance(model, Drawable) is not isinstance(model, TextOnlyOCRModel)


@pytest.mark.parametrize(
    ("base", "missing"),
    [
        (ObjectDetectionModel, ["class_names", "pre_process", "forward", "post_process"]),
        (InstanceSegmentationModel, ["class_names", "supported_mask_formats", "post_process"]),
        (SemanticSegmentationModel, ["class_names", "post_process"]),
        (KeyPointsDetectionModel, ["class_names", "key_points_classes", "skeletons"]),
        (StructuredOCRModel, ["class_names", "post_process"]),
        (DepthEstimationModel, ["pre_process", "forward", "post_process"]),
        (ClassificationModel, ["class_names", "pre_process", "forward", "post_process"]),
        (MultiLabelClassificationModel, ["class_names", "pre_process", "forward", "post_process"]),
        (TextOnlyOCRModel, ["pre_process", "forward", "post_process"]),
    ],
)
def test_a_model_without_one_of_its_members_cannot_be_made(base: type, missing: list[str]) -> None:
    members = {name: member for name, member in vars(Stages).items() if not name.startswith("__")}
    type("Complete", (base,), members)()
    for name in missing:
        with pytest.raises(TypeError, match=name):
            type("Incomplete", (base,), {key: value for key, value in members.items() if key != name})()


@pytest.mark.parametrize("arguments", [int, (int, list), (int, list, str)], ids=str)
def test_the_bases_take_up_to_three_types(arguments: Any) -> None:
    assert ObjectDetectionModel[arguments].__origin__ is ObjectDetectionModel


class BrightestPixel(ObjectDetectionModel[torch.Tensor, list, torch.Tensor]):
    """Written exactly as for the public library: torch in, torch out, options as keywords."""

    def __init__(self, class_names: list[str]) -> None:
        self._class_names = class_names
        self.closed = 0

    @classmethod
    def from_pretrained(cls, model_name_or_path: str, **kwargs) -> BrightestPixel:
        return cls(json.loads((Path(model_name_or_path) / "names.json").read_text()))

    @property
    def class_names(self) -> list[str]:
        return self._class_names

    def pre_process(self, images, **kwargs) -> tuple[torch.Tensor, list]:
        if isinstance(images, np.ndarray):
            images = torch.from_numpy(images[..., ::-1].copy()).permute(2, 0, 1)
        batch = images[None] if images.ndim == 3 else images
        return batch.float() / 255, [tuple(image.shape[-2:]) for image in batch]

    def forward(self, pre_processed_images: torch.Tensor, **kwargs) -> torch.Tensor:
        return pre_processed_images.mean(dim=1)

    def post_process(self, model_results, pre_processing_meta, confidence: float = 0.4, **kwargs) -> list[Detections]:
        return [
            self._detect(scores, size, confidence)
            for scores, size in zip(model_results, pre_processing_meta, strict=True)
        ]

    def close(self) -> None:
        self.closed += 1

    def _detect(self, scores: torch.Tensor, size: tuple[int, int], confidence: float) -> Detections:
        y, x = divmod(int(scores.argmax()), size[1])
        keep = scores.max()[None] > confidence
        box = torch.tensor([[x, y, x + 1, y + 1]], dtype=torch.float32)[keep]
        return Detections(box, torch.zeros(1, dtype=torch.int32)[keep], scores.max()[None][keep])


def test_a_model_of_the_public_library_works_unchanged(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text('["pixel"]')
    image = np.zeros((40, 60, 3), np.uint8)
    image[7, 30] = 255
    with BrightestPixel.from_pretrained(str(tmp_path), device="cpu") as model:
        answers = model(image)
        assert model(image, confidence=1.0) == [answers[0][[]]]
        batch = torch.zeros((3, 3, 4, 5), dtype=torch.uint8)
        batch[1, :, 2, 3] = 255
        assert [len(answer) for answer in model(batch)] == [0, 1, 0]
        assert np.array_equal(model.annotate(image, answers), model.annotate(image, answers[0]))
    assert answers == [Detections(torch.tensor([[30.0, 7, 31, 8]]), torch.zeros(1, dtype=torch.int32), torch.ones(1))]
    assert isinstance(answers[0].xyxy, torch.Tensor)
    with pytest.raises(KeyError), model:
        raise KeyError("x")
    assert model.closed == 2
    assert model.resolved_model is None
    model.resolved_model = ResolvedModelMetadata("a/1", "p", "onnx", "fp32")
    assert BrightestPixel.resolved_model is None


def test_a_promise_runs_post_processing_when_it_is_asked_and_once_only() -> None:
    model = type("Model", (Stages, InstanceSegmentationModel), {})()
    assert (model.supports_stream_pipeline, model.max_batch_size) == (False, None)
    promise = model.forward_async(*model.pre_process([MASK], level=1), level=1)
    assert model.options == [{"level": 1}] * 2
    promise.submit_gpu_work()
    assert promise.done()
    assert promise.result() is promise.result()
    assert model.options == [{"level": 1}] * 3


def test_an_error_of_post_processing_is_raised_by_every_result() -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("level")

    promise = type("Model", (Stages, InstanceSegmentationModel), {"post_process": fail})().infer_async([MASK])
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^level$"):
            promise.result()


def test_open_vocabulary_models_get_the_classes_in_forward_only() -> None:
    class Finder(Stages, OpenVocabularyObjectDetectionModel[list, list, list]):
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
    assert (model.annotate(IMAGE, ([POINTS], None))[59:62, 59:62] != 90).any()
    model.skeletons = [[]]
    assert (model.annotate(IMAGE, ([POINTS], None))[59:62, 59:62] == 90).all()


def test_an_action_model_says_which_frames_it_wants() -> None:
    class Jumps(ActionRecognitionModel):
        class_names = None

        def infer(self, frames, class_names=None, confidence=None, **kwargs):
            return [ActionRecognitionPrediction(0, len(frames) - 1, class_names[0], confidence)]

    model = Jumps()
    assert model([IMAGE] * 4, class_names=["jump"]) == [ActionRecognitionPrediction(0, 3, "jump")]
    assert model([IMAGE] * 4, ["jump"]) == model.infer([IMAGE] * 4, ["jump"])
    assert model.video_sampling == VideoSampling(
        window_seconds=16.0, sample_fps=4.0, min_frames=4, max_frame_side=None, mode="sliding_window", max_frames=None
    )
    supports = (model.supports_confidence, model.supports_observed_duration)
    assert (model.span_semantics, *supports) == ("instances", False, False)
    assert model.frame_storage_transform is model.estimate_candidate_count(100, class_names=["jump"]) is None
    model.supports_confidence = True
    assert model.supports_confidence
    with pytest.raises(TypeError, match="infer"):
        type("Incomplete", (ActionRecognitionModel,), {"class_names": None})()


def test_every_task_says_what_its_models_are() -> None:
    assert [find_task(name).name for name in known_tasks()] == list(known_tasks())
    without_classes = {name for name in known_tasks() if not find_task(name).has_classes}
    assert {"depth-estimation", "embedding", "structured-ocr", "text-only-ocr"} <= without_classes
    assert find_task("instance-segmentation").model is InstanceSegmentationModel


@pytest.mark.parametrize(
    ("owner", "name", "meant"),
    [
        (BOX, "boxes", "; boxes are .xyxy"),
        (CLASSES, "probs", "; it is called .confidence"),
        (POINTS, "shapes", ""),
        (ModelLifecycle(), "predict", "; call the model itself: model(images)"),
        (ModelLifecycle(), "to", '; load it for a device: AutoModel.from_pretrained(..., device="cuda")'),
    ],
)
def test_what_other_libraries_call_otherwise_is_told(owner: object, name: str, meant: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(owner, name)
    assert str(caught.value) == f"{type(owner).__name__!r} object has no attribute {name!r}{meant}"
