"""Instance segmentation: objects and the pixels that belong to them."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any

from inference_models.arrays import namespace
from inference_models.errors import InvalidParameterError
from inference_models.families import InstanceGraph, SegmentsGraph
from inference_models.predictions.instances import InstanceDetections
from inference_models.record import replace
from inference_models.tasks import Task
from inference_models.tasks.graph_objects import BoxFinder
from inference_models.tasks.graph_options import DetectionOptions, parse_share, parse_switch
from inference_models.tasks.graph_runner import NetworkInputs, RawOutputs
from inference_models.tasks.instance_models import FORMATS, InstanceSegmentationModel, mask_format

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference_models.decoders.types import Boxes, BoxLimits, InstanceDecoder, Outputs, Shapes
    from inference_models.entities import InstanceSegmentationMaskFormat
    from inference_models.preprocess.geometry import ImageTransform
    from inference_models.tasks.graph_runner import OpenedPackage


class InstanceOptions(DetectionOptions, total=False):
    """Options of an instance segmentation call."""

    masks: InstanceSegmentationMaskFormat | None
    """"rle", the default: run lengths, as small as what was found; "dense": (n, H, W) bool; "polygons": run lengths,
    and in `bboxes_metadata` the `polygons` of each object, (k, 2) int32 x y of the pixels along each outer edge."""
    mask_format: InstanceSegmentationMaskFormat | None
    """The same by its other name."""
    masks_smoothing_enabled: bool | None
    """Whether scores of cells are resized, and not their logits; default: as the project of the architecture does."""
    masks_binarization_threshold: float | None
    """What a pixel must exceed: its score, default 0.5, or its logit where these are resized, default 0.0."""


class GraphSegmenter(BoxFinder, InstanceSegmentationModel[NetworkInputs, "list[ImageTransform]", list[RawOutputs]]):
    """An instance segmenter whose whole work is one graph, on any backend. Safe to call from many threads.

    Every method takes the options of `InstanceOptions` by name.
    """

    OPTIONS = InstanceOptions
    _decoder: InstanceDecoder

    def __init__(self, graph: OpenedPackage, family: InstanceGraph) -> None:
        self._family = family
        self._spec = graph.preprocess
        super().__init__(graph, family)

    @property
    def supported_mask_formats(self) -> set[InstanceSegmentationMaskFormat]:
        """What `masks=` may be."""
        return set(FORMATS)

    def _count_classes(self, shapes: Shapes) -> int | None:
        shapes = [_moved(shape, (0, 3, 1, 2)) if self._is_turned(shape) else shape for shape in shapes]
        return super()._count_classes(shapes)

    def _limits(self, options: dict[str, Any]) -> BoxLimits:
        limits = super()._limits(options)
        mask_format(options)
        _mask_rule(options, smooth=self._family.smooth)
        return limits

    def _images(self, raw: list[RawOutputs], meta: list[ImageTransform]) -> list[tuple[RawOutputs, ImageTransform]]:
        return [(replace(image, outputs=self._planar(image.outputs)), way) for image, way in super()._images(raw, meta)]

    def _planar(self, outputs: Outputs) -> Outputs:
        """`outputs` with the channels of maps first, which come last where those of the input do."""
        return [
            namespace(output).permute_dims(output, (0, 3, 1, 2)) if self._is_turned(output.shape) else output
            for output in outputs
        ]

    def _is_turned(self, shape: Sequence[int | None]) -> bool:
        return len(shape) == 4 and self._spec.layout == "nhwc"

    def _prediction(self, image: RawOutputs, boxes: Boxes, transform: ImageTransform, options: dict[str, Any]) -> Any:
        from inference_models.tasks.instance_masks import MaskWriter  # noqa: PLC0415 - brings NumPy

        rule = _mask_rule(options, smooth=self._family.smooth)
        writer = MaskWriter.of(self._decoder.maps(image.outputs, boxes), transform, self._family, rule)
        masks, facts = writer.write(boxes.xyxy, mask_format(options))
        rows = writer.rows if len(writer.rows) < len(boxes.class_id) else slice(None)
        return self._as_asked(
            InstanceDetections(
                boxes.xyxy[rows],
                boxes.class_id[rows],
                boxes.confidence[rows],
                masks,
                bboxes_metadata=facts,
                image_size=transform.image_size,
                class_names=self._names,
            )
        )


def _mask_rule(options: Mapping[str, Any], *, smooth: bool) -> tuple[bool, float]:
    """Whether scores are resized, and what they, or else logits, must exceed."""
    smooth = parse_switch(options, "masks_smoothing_enabled", default=smooth)
    name = "masks_binarization_threshold"
    if smooth:
        return True, parse_share(options, name, 0.5)
    value = options.get(name)
    if isinstance(value, bool) or not isinstance(value, Real | None) or not math.isfinite(value or 0.0):
        raise InvalidParameterError(f"{name}={value!r} makes no sense.", needs="a number", found=repr(value))
    return False, float(value or 0.0)


def _moved(shape: Sequence[int | None], axes: Sequence[int]) -> tuple[int | None, ...]:
    return tuple(shape[axis] for axis in axes)


def bind(package: OpenedPackage, graph: InstanceGraph | SegmentsGraph) -> Any:
    """The segmenter of an opened package."""
    if isinstance(graph, InstanceGraph):
        return GraphSegmenter(package, graph)
    from inference_models.tasks.graph_segments import SegmentFinder  # noqa: PLC0415 - of mask transformers alone

    return SegmentFinder(package, graph)


TASK = Task(
    name="instance-segmentation",
    model=InstanceSegmentationModel,
    predictions={InstanceDetections: "objects"},
    graph=InstanceGraph | SegmentsGraph,
    bind=bind,
    post_processing="nms",
)
