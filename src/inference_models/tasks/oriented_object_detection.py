"""Oriented object detection: objects with boxes that are rotated as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from inference_models.families import OrientedDetectionGraph
from inference_models.predictions.oriented import OrientedDetections
from inference_models.record import replace
from inference_models.tasks import Task
from inference_models.tasks.graph_objects import ObjectFinder, chosen_decoder
from inference_models.tasks.graph_options import DetectionOptions
from inference_models.tasks.graph_runner import NetworkInputs, OpenedPackage, RawOutputs
from inference_models.tasks.stages import (
    KnowsClasses,
    PreprocessedInputs,
    PreprocessingMetadata,
    RawPrediction,
    StagedModel,
)

if TYPE_CHECKING:
    from inference_models.decoders.types import BoxLimits, OrientedBoxes
    from inference_models.preprocess.geometry import ImageTransform


class OrientedObjectDetectionModel(
    KnowsClasses,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, list[OrientedDetections]],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one `OrientedDetections` per image, in the order of the images."""


class GraphOrientedDetector(
    ObjectFinder, OrientedObjectDetectionModel[NetworkInputs, "list[ImageTransform]", list[RawOutputs]]
):
    """A detector of rotated boxes whose whole work is one graph, on any backend. Safe to call from many threads.

    Every method takes the options of `DetectionOptions` by name.
    """

    OPTIONS = DetectionOptions

    def __init__(self, graph: OpenedPackage, family: OrientedDetectionGraph) -> None:
        decoder = chosen_decoder(family.decoder, family.fused, graph)
        super().__init__(graph, family, decoder.count_classes)
        self._decode, self._normalized = decoder.decode, graph.normalized_boxes

    def _read(
        self,
        raw: list[RawOutputs],
        meta: list[ImageTransform],
        limits: BoxLimits,
        options: dict[str, Any],  # noqa: ARG002
    ) -> list[OrientedDetections]:
        found = []
        for image, transform in self._images(raw, meta):
            seen = replace(limits, shows=transform.shows)
            (boxes,) = self._decode(image.outputs, image.frame, seen, self._normalized)
            self._check_class_ids(boxes.class_id)
            found.append(self._detections(boxes, transform))
        return found

    def _detections(self, boxes: OrientedBoxes, transform: ImageTransform) -> OrientedDetections:
        from inference_models.arrays import namespace  # noqa: PLC0415 - brings array-api-compat
        from inference_models.decoders.oriented import corners_of, rectangles_around  # noqa: PLC0415

        corners = corners_of(boxes.xywhr)
        xp, inside = namespace(corners), transform.points_to_image(corners, clamp=True)
        return self._as_asked(
            OrientedDetections(
                xyxy=xp.concat([xp.min(inside, axis=1), xp.max(inside, axis=1)], axis=1),
                class_id=boxes.class_id,
                confidence=boxes.confidence,
                xywhr=rectangles_around(transform.points_to_image(corners)),
                class_names=self._names,
            )
        )


TASK = Task(
    name="oriented-object-detection",
    model=OrientedObjectDetectionModel,
    predictions={OrientedDetections: "objects"},
    graph=OrientedDetectionGraph,
    bind=GraphOrientedDetector,
    post_processing="nms",
)
