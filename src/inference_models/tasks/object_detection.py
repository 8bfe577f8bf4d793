"""Object detection: objects of the classes that a model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from inference_models.families import DetectionGraph
from inference_models.predictions.detections import Detections
from inference_models.tasks import Task
from inference_models.tasks.graph_objects import BoxFinder
from inference_models.tasks.graph_runner import NetworkInputs, RawOutputs
from inference_models.tasks.stages import (
    KnowsClasses,
    PreprocessedInputs,
    PreprocessingMetadata,
    RawPrediction,
    StagedModel,
)

if TYPE_CHECKING:
    from inference_models.decoders.types import Boxes
    from inference_models.preprocess.geometry import ImageTransform


class ObjectDetectionModel(
    KnowsClasses,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, list[Detections]],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one `Detections` per image, in the order of the images."""


class GraphDetector(BoxFinder, ObjectDetectionModel[NetworkInputs, "list[ImageTransform]", list[RawOutputs]]):
    """A detector whose whole work is one graph, on any backend. Safe to call from many threads.

    Every method takes the options of `DetectionOptions` by name.
    """

    def _prediction(self, image: RawOutputs, boxes: Boxes, transform: ImageTransform, options: dict[str, Any]) -> Any:  # noqa: ARG002
        found = Detections(boxes.xyxy, boxes.class_id, boxes.confidence, class_names=self._names)
        if boxes.polygons is not None:
            found.bboxes_metadata = [{"polygon": corners} for corners in boxes.polygons.tolist()]
        return self._as_asked(found)


TASK = Task(
    name="object-detection",
    model=ObjectDetectionModel,
    predictions={Detections: "objects"},
    graph=DetectionGraph,
    bind=GraphDetector,
    post_processing="nms",
)
