"""Mask transformers: instances, or segments that share all pixels out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.decoders.masks import MaskPart
from inference_models.errors import InvalidParameterError
from inference_models.predictions.instances import InstanceDetections
from inference_models.tasks.graph_maps import device_of_torch, window_of
from inference_models.tasks.graph_objects import ObjectFinder
from inference_models.tasks.graph_options import DetectionOptions
from inference_models.tasks.graph_runner import NetworkInputs, RawOutputs
from inference_models.tasks.instance_masks import write_parts
from inference_models.tasks.instance_models import FORMATS, InstanceSegmentationModel, mask_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from inference_models.arrays import NumpyArray
    from inference_models.decoders.segments import Segment
    from inference_models.decoders.types import BoxLimits
    from inference_models.entities import InstanceSegmentationMaskFormat
    from inference_models.families import SegmentsGraph
    from inference_models.preprocess.geometry import ImageTransform
    from inference_models.tasks.graph_runner import OpenedPackage


class SegmentOptions(DetectionOptions, total=False):
    """Options of a call of a mask transformer."""

    masks: InstanceSegmentationMaskFormat | None
    """As in `InstanceOptions`."""
    mask_format: InstanceSegmentationMaskFormat | None
    """The same by its other name."""
    fused_classes: Sequence[int | str] | None
    """Of segments that share all pixels out: ids or names of classes that cannot be counted, such as "sky", whose
    segments become one; None: none."""


class SegmentFinder(ObjectFinder, InstanceSegmentationModel[NetworkInputs, "list[ImageTransform]", list[RawOutputs]]):
    """A mask transformer whose whole work is one graph, on any backend. Safe to call from many threads.

    Boxes are those around the masks. Every method takes the options of `SegmentOptions` by name.
    """

    OPTIONS = SegmentOptions

    def __init__(self, graph: OpenedPackage, family: SegmentsGraph) -> None:
        self._family = family
        only_size = None if graph.preprocess.dynamic else graph.preprocess.size
        super().__init__(graph, family, lambda shapes: family.queries.check(shapes, only_size))

    @property
    def supported_mask_formats(self) -> set[InstanceSegmentationMaskFormat]:
        """What `masks=` may be."""
        return set(FORMATS)

    def _limits(self, options: dict[str, Any]) -> BoxLimits:
        limits = super()._limits(options)
        mask_format(options)
        self._fused(options)
        return limits

    def _fused(self, options: dict[str, Any]) -> set[int]:
        stated = options.get("fused_classes") or ()
        known: dict[int | str, int] = {number: number for number in range(len(self._names))}
        known |= {name: number for number, name in enumerate(self._names)}
        unknown = next((entry for entry in stated if entry not in known), None)
        if unknown is not None or (stated and not self._family.panoptic):
            named = f"names, or numbers from 0 to {len(self._names) - 1}"
            raise InvalidParameterError(
                f"fused_classes={stated!r} makes no sense.",
                needs=named if self._family.panoptic else 'a model loaded with task_type="panoptic-segmentation"',
                found=repr(stated if unknown is None else unknown),
            )
        return {known[entry] for entry in stated}

    def _read(
        self, raw: list[RawOutputs], meta: list[ImageTransform], limits: BoxLimits, options: dict[str, Any]
    ) -> list[InstanceDetections]:
        return [self._prediction(image, way, limits, options) for image, way in self._images(raw, meta)]

    def _prediction(
        self, image: RawOutputs, transform: ImageTransform, limits: BoxLimits, options: dict[str, Any]
    ) -> InstanceDetections:
        found = sorted(self._found(image, transform, limits, options), key=lambda segment: -segment.score)
        found = found[: limits.max_detections]
        offset = transform.seen(1)[1].start, transform.seen(0)[1].start
        parts = [_part(segment.mask, offset) for segment in found]
        masks, facts = write_parts(parts, mask_format(options), transform.image_size, most=len(parts))
        prediction = InstanceDetections(
            np.array([_box(part) for part in parts], np.float32).reshape(-1, 4),
            np.array([segment.class_id for segment in found], np.int32),
            np.array([segment.score for segment in found], np.float32),
            masks,
            bboxes_metadata=facts,
            image_size=transform.image_size,
            class_names=self._names,
        )
        device = None if self._arrays else device_of_torch(image.outputs[0])
        return prediction.torch(device) if device else self._as_asked(prediction)

    def _found(
        self, image: RawOutputs, transform: ImageTransform, limits: BoxLimits, options: dict[str, Any]
    ) -> Iterable[Segment]:
        least = np.broadcast_to(np.asarray(limits.confidence, np.float32), len(self._names))
        window, queries = window_of(transform), self._family.queries

        def passes(class_id: int, score: float) -> bool:
            return bool(score > least[class_id])

        if self._family.panoptic:
            return queries.segments(image.outputs, window, passes, self._fused(options))
        return queries.instances(image.outputs, window, passes)


def _part(mask: NumpyArray, offset: tuple[int, int]) -> MaskPart:
    """The part of an image that the pixels of `mask` lie in; the mask begins at `offset` (top, left) of the image."""
    down, across = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    pixels = mask[down[0] : down[-1] + 1, across[0] : across[-1] + 1]
    return MaskPart(int(down[0]) + offset[0], int(across[0]) + offset[1], pixels)


def _box(part: MaskPart) -> tuple[int, int, int, int]:
    height, width = part.pixels.shape
    return part.left, part.top, part.left + width, part.top + height
