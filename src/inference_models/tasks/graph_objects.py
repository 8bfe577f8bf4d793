"""What models that are one graph and find objects share: thresholds, checks, the way back to the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from inference_models.decoders.types import BoxLimits
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.class_names import NAMES_FIX
from inference_models.tasks.graph_options import ConfidenceRule, parse_box_limits
from inference_models.tasks.graph_runner import OpenedPackage, PerImage, RawOutputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import Array
    from inference_models.decoders.types import Shapes
    from inference_models.families import ObjectGraph
    from inference_models.preprocess.geometry import ImageTransform

Decoder = TypeVar("Decoder")


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
