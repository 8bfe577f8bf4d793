"""Base class of models that find objects and the pixels that belong to them."""

from __future__ import annotations

import math
from abc import abstractmethod
from numbers import Real
from typing import TYPE_CHECKING, Any, Generic

from inference_models.arrays import namespace
from inference_models.errors import InvalidParameterError
from inference_models.families import InstanceGraph, SegmentsGraph
from inference_models.fork import Lock
from inference_models.predictions.instances import InstanceDetections
from inference_models.record import replace
from inference_models.tasks import Task
from inference_models.tasks.graph_objects import BoxFinder
from inference_models.tasks.graph_options import DetectionOptions, parse_share, parse_switch
from inference_models.tasks.graph_runner import NetworkInputs, RawOutputs
from inference_models.tasks.stages import (
    Answer,
    KnowsClasses,
    PreprocessedInputs,
    PreprocessingMetadata,
    RawPrediction,
    StagedModel,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from inference_models.decoders.types import Boxes, BoxLimits, InstanceDecoder, Outputs, Shapes
    from inference_models.entities import InstanceSegmentationMaskFormat
    from inference_models.preprocess.geometry import ImageTransform
    from inference_models.tasks.graph_runner import OpenedPackage
    from inference_models.tasks.stages import Images


class PredictionFuture(Generic[Answer]):
    """An answer whose last step runs when `result` is first called. Safe to use from several threads.

    This one is for networks that ran before it was made; a model that leaves work on the device returns a subclass.
    """

    def __init__(self, finish: Callable[[], Answer]) -> None:
        self._finish = finish
        self._answers: list[Answer] = []
        self._lock = Lock()

    def submit_gpu_work(self) -> None:
        """Hand the work to the device if that has not happened yet. Here it has."""

    def done(self) -> bool:
        """Whether `result` need not wait for the device. Here it never does."""
        return True

    def result(self) -> Answer:
        """The answer; computed once, and an error of the last step is raised by every call."""
        with self._lock:
            if not self._answers:
                self._answers.append(self._finish())
            return self._answers[0]


class InstanceSegmentationModel(
    KnowsClasses,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, list[InstanceDetections]],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one `InstanceDetections` per image, in the order of the images."""

    supports_stream_pipeline: bool = False
    """Whether the stages of consecutive calls may overlap on the device."""

    @property
    @abstractmethod
    def supported_mask_formats(self) -> set[InstanceSegmentationMaskFormat]:
        """What `mask_format=` may be: `"dense"`, `"rle"`, or both."""

    @property
    def max_batch_size(self) -> int | None:
        """Images that one pass of the network takes at most; None: no limit is known."""
        return None

    def infer_async(self, images: Images, **kwargs: Any) -> PredictionFuture[list[InstanceDetections]]:
        """A promise of the answer of `infer`: the network is started now, post-processing runs in `.result()`."""
        inputs, metadata = self.pre_process(images, **kwargs)
        return self.forward_async(inputs, metadata, **kwargs)

    def forward_async(
        self, pre_processed_images: PreprocessedInputs, pre_processing_meta: PreprocessingMetadata, **kwargs: Any
    ) -> PredictionFuture[list[InstanceDetections]]:
        """A promise of the predictions for what `pre_process` gave; here the network has run when this returns."""
        results = self.forward(pre_processed_images, **kwargs)
        return PredictionFuture(lambda: self.post_process(results, pre_processing_meta, **kwargs))


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


FORMATS: tuple[InstanceSegmentationMaskFormat, ...] = ("dense", "polygons", "rle")


def mask_format(options: Mapping[str, Any]) -> InstanceSegmentationMaskFormat:
    """The form of the masks that a call asks for.

    Raises:
        InvalidParameterError: there is no such form, or it asks for two.
    """
    wanted = {options[name] for name in ("masks", "mask_format") if options.get(name) is not None} or {"rle"}
    for name in FORMATS:
        if wanted == {name}:
            return name
    raise InvalidParameterError(
        "masks cannot be given in this form.",
        needs=f"masks= one of {', '.join(map(repr, FORMATS))}",
        found=" and ".join(sorted(map(repr, wanted))),
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
