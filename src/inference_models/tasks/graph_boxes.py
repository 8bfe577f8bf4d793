"""What models that are one graph and find boxes share, whatever an object has besides its box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from inference_models.errors import CorruptedModelPackageError
from inference_models.record import replace
from inference_models.tasks.graph_objects import ObjectFinder, chosen_decoder
from inference_models.tasks.graph_options import DetectionOptions, parse_image_options

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.decoders.types import BoxDecoder, Boxes, BoxLimits, Frame
    from inference_models.families import DetectionGraph
    from inference_models.preprocess.geometry import ImageTransform
    from inference_models.tasks.graph_runner import OpenedPackage, RawOutputs

LARGEST_PART = 4.0
"""Boxes as parts of the input size reach beyond it a little; pixels reach far beyond."""


class BoxFinder(ObjectFinder):
    """From images to one answer per image, which a task makes of the boxes. Mixed into the base of the task."""

    OPTIONS: ClassVar[type] = DetectionOptions

    def __init__(self, graph: OpenedPackage, family: DetectionGraph) -> None:
        decoder = self._decoder(graph, family)
        super().__init__(graph, family, decoder.count_classes)
        self._decode = decoder.decode
        self._normalized = graph.normalized_boxes

    def infer(self, images: object, **kwargs: Any) -> list[Any]:
        """One prediction per image, in the order of the images.

        Args:
            images: one image or a list: (H, W, 3) uint8 BGR arrays, (3, H, W) RGB tensors, PIL images, paths, bytes.
            **kwargs: those of `OPTIONS`.

        Raises:
            ModelInputError: an image cannot be used; the text names it.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed.
        """
        limits = self._limits(kwargs)
        return self._runner.answers(
            images, parse_image_options(kwargs), lambda raw, meta: self._read(raw, meta, limits, kwargs)
        )

    def post_process(
        self, model_results: list[RawOutputs], pre_processing_meta: list[ImageTransform], **kwargs: Any
    ) -> list[Any]:
        """One prediction per image, in pixels of the original images, with boxes clamped to them."""
        return self._read(model_results, pre_processing_meta, self._limits(kwargs), kwargs)

    def _prediction(self, image: RawOutputs, boxes: Boxes, transform: ImageTransform, options: dict[str, Any]) -> Any:
        """The answer to one image; `boxes` are in pixels of the image."""
        raise NotImplementedError

    def _decoder(self, graph: OpenedPackage, family: DetectionGraph) -> BoxDecoder:
        decoder = chosen_decoder(family.decoder, family.fused, graph)
        return decoder.named([spec.name for spec in graph.session.outputs]) if decoder.named else decoder

    def _read(
        self, raw: list[RawOutputs], meta: list[ImageTransform], limits: BoxLimits, options: dict[str, Any]
    ) -> list[Any]:
        pairs = self._images(raw, meta)
        return [self._prediction(image, self._boxes(image, way, limits), way, options) for image, way in pairs]

    def _boxes(self, image: RawOutputs, transform: ImageTransform, limits: BoxLimits) -> Boxes:
        """The boxes that show something of one image, in its pixels."""

        def pixels(xyxy: Array) -> Array:
            return _in_pixels(xyxy, image.frame, self._label) if self._normalized else xyxy

        limits = replace(limits, shows=lambda xyxy: transform.shows(pixels(xyxy)))
        (boxes,) = self._decode(image.outputs, image.frame, limits)
        self._check_class_ids(boxes.class_id)
        return replace(boxes, xyxy=transform.boxes_to_image(pixels(boxes.xyxy)))


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
