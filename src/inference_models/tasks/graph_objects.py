"""What models that are one graph and find objects share: thresholds, checks, the way back to the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from inference_models.decoders.types import BoxLimits
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.class_names import NAMES_FIX
from inference_models.record import replace
from inference_models.tasks.class_columns import ClassColumns
from inference_models.tasks.graph_options import ConfidenceRule, DetectionOptions, parse_box_limits
from inference_models.tasks.graph_runner import OpenedPackage, PerImage, RawOutputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import Array
    from inference_models.decoders.types import BoxDecoder, Boxes, Frame, Shapes
    from inference_models.families import DetectionGraph, ObjectGraph
    from inference_models.preprocess.geometry import ImageTransform

Decoder = TypeVar("Decoder")
LARGEST_PART = 4.0
"""Boxes as parts of the input size reach beyond it a little; pixels reach far beyond."""


def chosen_decoder(plain: Decoder, fused: Decoder | None, graph: OpenedPackage) -> Decoder:
    """The decoder for what the graph does itself.

    Raises:
        CorruptedModelPackageError: it holds the suppression, and its architecture has no such export.
    """
    decoder = fused if graph.fused else plain
    if decoder is None:
        raise CorruptedModelPackageError(
            f"{graph.label}: post_processing.fused is true, but this architecture has no such export."
        )
    return decoder


class ObjectFinder(PerImage):
    """One graph that finds objects of the classes it was trained on."""

    def __init__(
        self, graph: OpenedPackage, family: ObjectGraph, count_classes: Callable[[Shapes], int | None]
    ) -> None:
        super().__init__(graph, count_classes)
        self._defaults = BoxLimits(family.confidence, family.iou, family.max_detections)
        self._confidence = ConfidenceRule(family.confidence, graph.class_names, graph.recommended)

    def _reader(self, options: dict[str, Any]) -> Callable[[list[RawOutputs], list[ImageTransform]], Any]:
        limits = self._limits(options)
        return lambda raw, meta: self._read(raw, meta, limits, options)

    def _read(
        self, raw: list[RawOutputs], meta: list[ImageTransform], limits: BoxLimits, options: dict[str, Any]
    ) -> Any:
        """One answer per image, from what the graph gave."""
        raise NotImplementedError

    def _limits(self, options: dict[str, Any]) -> BoxLimits:
        self._check(options)
        return parse_box_limits(options, self._defaults, self._confidence)

    def _check_class_ids(self, class_id: Array) -> None:
        """Graphs that hold the suppression have no class axis to count, so wrong names show only here."""
        if class_id.shape[0] and int(class_id.max()) >= len(self._names):
            raise CorruptedModelPackageError(
                f"{self._label}: the graph found class {int(class_id.max())}, which has no name.",
                needs=f"at least {int(class_id.max()) + 1} names",
                found=str(len(self._names)),
                fix=NAMES_FIX,
            )


class BoxFinder(ObjectFinder):
    """From images to one answer per image, which a task makes of the boxes. Mixed into the base of the task."""

    OPTIONS: ClassVar[type] = DetectionOptions

    def __init__(self, graph: OpenedPackage, family: DetectionGraph) -> None:
        decoder = chosen_decoder(family.decoder, family.fused, graph)
        names = [spec.name for spec in graph.session.outputs]
        self._decoder: BoxDecoder = decoder.named(names) if decoder.named else decoder
        self._only_size = None if graph.preprocess.dynamic else graph.preprocess.size
        count = self._count_classes([spec.shape for spec in graph.session.outputs])
        self._columns: ClassColumns | None = None
        if family.extra_columns and count is not None:
            removed = graph.removed_class_names
            self._columns = ClassColumns.of(count, graph.class_names, removed, label=graph.label)
            graph = replace(graph, class_names=self._columns.names)
        elif family.classes_from_one:
            self._columns = ClassColumns.from_one(graph.class_names)
        super().__init__(graph, family, lambda _: None if self._columns else count)
        self._normalized = graph.normalized_boxes

    def _prediction(self, image: RawOutputs, boxes: Boxes, transform: ImageTransform, options: dict[str, Any]) -> Any:
        """The answer to one image; `boxes` are in pixels of the image."""
        raise NotImplementedError

    def _count_classes(self, shapes: Shapes) -> int | None:
        """Number of classes of a graph with outputs of these shapes, which are checked."""
        if self._decoder.check is not None:
            self._decoder.check(shapes, self._only_size)
        return self._decoder.count_classes(shapes)

    def _read(
        self, raw: list[RawOutputs], meta: list[ImageTransform], limits: BoxLimits, options: dict[str, Any]
    ) -> list[Any]:
        pairs = self._images(raw, meta)
        return [self._prediction(image, self._boxes(image, way, limits), way, options) for image, way in pairs]

    def _boxes(self, image: RawOutputs, transform: ImageTransform, limits: BoxLimits) -> Boxes:
        """The boxes that show something of one image, in its pixels."""

        def pixels(xyxy: Array) -> Array:
            return _in_pixels(xyxy, image.frame, self._label) if self._normalized else xyxy

        if self._columns is not None:
            limits = self._columns.limits(limits)
        limits = replace(limits, shows=lambda xyxy: transform.shows(pixels(xyxy)))
        (boxes,) = self._decoder.decode(image.outputs, image.frame, limits)
        if self._columns is not None:
            boxes = self._columns.renumbered(boxes)
        self._check_class_ids(boxes.class_id)
        corners = None if boxes.polygons is None else transform.points_to_image(boxes.polygons, clamp=True)
        return replace(boxes, xyxy=transform.boxes_to_image(pixels(boxes.xyxy)), polygons=corners)


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
