"""Object detection: objects of the classes that a model was trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic

from inference_models.errors import CorruptedModelPackageError
from inference_models.families import DetectionGraph
from inference_models.predictions.detections import Detections
from inference_models.tasks import Task
from inference_models.tasks.graph_objects import ObjectFinder, chosen_decoder
from inference_models.tasks.graph_options import DetectionOptions, parse_image_options
from inference_models.tasks.graph_runner import NetworkInputs, OpenedPackage, RawOutputs
from inference_models.tasks.stages import (
    KnowsClasses,
    PreprocessedInputs,
    PreprocessingMetadata,
    RawPrediction,
    StagedModel,
)

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.decoders.types import BoxLimits, Frame
    from inference_models.preprocess.geometry import ImageTransform

LARGEST_PART = 4.0
"""Boxes as parts of the input size reach beyond it a little; pixels reach far beyond."""


class ObjectDetectionModel(
    KnowsClasses,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, list[Detections]],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one `Detections` per image, in the order of the images."""


class GraphDetector(ObjectFinder, ObjectDetectionModel[NetworkInputs, "list[ImageTransform]", list[RawOutputs]]):
    """A detector whose whole work is one graph, on any backend. Safe to call from many threads.

    Every method takes the options of `DetectionOptions` by name.
    """

    OPTIONS = DetectionOptions

    def __init__(self, graph: OpenedPackage, family: DetectionGraph) -> None:
        decoder = chosen_decoder(family.decoder, family.fused, graph)
        if decoder.named is not None:
            decoder = decoder.named([spec.name for spec in graph.session.outputs])
        super().__init__(graph, family, decoder.count_classes)
        self._decode = decoder.decode
        self._normalized = graph.normalized_boxes

    def infer(self, images: object, **kwargs: Any) -> list[Detections]:
        """One `Detections` per image, in the order of the images.

        Args:
            images: one image or a list: (H, W, 3) uint8 BGR arrays, (3, H, W) RGB tensors, PIL images, paths, bytes.
            **kwargs: `DetectionOptions`.

        Raises:
            ModelInputError: an image cannot be used; the text names it.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed.
        """
        limits = self._limits(kwargs)
        return self._runner.answers(
            images, parse_image_options(kwargs), lambda raw, meta: self._read(raw, meta, limits)
        )

    def post_process(
        self, model_results: list[RawOutputs], pre_processing_meta: list[ImageTransform], **kwargs: Any
    ) -> list[Detections]:
        """Boxes in pixels of the original images, clamped to them."""
        return self._read(model_results, pre_processing_meta, self._limits(kwargs))

    def _read(self, raw: list[RawOutputs], meta: list[ImageTransform], limits: BoxLimits) -> list[Detections]:
        return [self._detections(image, transform, limits) for image, transform in self._images(raw, meta)]

    def _detections(self, image: RawOutputs, transform: ImageTransform, limits: BoxLimits) -> Detections:
        def pixels(xyxy: Array) -> Array:
            return _in_pixels(xyxy, image.frame, self._label) if self._normalized else xyxy

        limits = replace(limits, shows=lambda xyxy: transform.shows(pixels(xyxy)))
        (boxes,) = self._decode(image.outputs, image.frame, limits)
        self._check_class_ids(boxes.class_id)
        detections = Detections(
            xyxy=transform.boxes_to_image(pixels(boxes.xyxy)),
            class_id=boxes.class_id,
            confidence=boxes.confidence,
            class_names=self._names,
        )
        return self._as_asked(detections)


def _in_pixels(xyxy: Array, frame: Frame, label: str) -> Array:
    """(n, 4) boxes given as parts of the input size, in its pixels."""
    if xyxy.shape[0] and float(xyxy.max()) > LARGEST_PART:
        raise CorruptedModelPackageError(
            f"{label}: the boxes of the graph are not parts of the input size.",
            needs="coordinates from 0 to 1, as the exporter of this architecture writes them in this format",
            found=f"{float(xyxy.max()):g}",
            fix='say "boxes": "pixels" in post_processing of inference_config.json',
        )
    from inference_models.decoders.candidates import as_float32  # noqa: PLC0415 - brings NumPy

    height, width = frame
    return xyxy * as_float32([width, height, width, height], like=xyxy)


TASK = Task(
    name="object-detection",
    model=ObjectDetectionModel,
    predictions={Detections: "objects"},
    graph=DetectionGraph,
    bind=GraphDetector,
    post_processing="nms",
)
