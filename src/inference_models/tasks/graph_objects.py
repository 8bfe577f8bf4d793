"""What models that are one graph and find objects share: thresholds, checks, the way back to the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from inference_models.decoders.types import BoxLimits
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from inference_models.tasks.graph_options import ConfidenceRule, parse_box_limits, parse_image_options
from inference_models.tasks.graph_runner import NetworkInputs, OneGraph, OpenedPackage, RawOutputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import Array
    from inference_models.decoders.types import Shapes
    from inference_models.families import ObjectGraph
    from inference_models.predictions.container import Prediction
    from inference_models.preprocess.geometry import ImageTransform

    Kind = TypeVar("Kind", bound=Prediction)

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


class ObjectFinder(OneGraph):
    """One graph that finds objects of the classes it was trained on."""

    def __init__(
        self, graph: OpenedPackage, family: ObjectGraph, count_classes: Callable[[Shapes], int | None]
    ) -> None:
        super().__init__(graph, count_classes)
        self._defaults = BoxLimits(family.confidence, family.iou, family.max_detections)
        self._confidence = ConfidenceRule(family.confidence, graph.class_names, graph.recommended)

    def infer(self, images: object, **kwargs: Any) -> Any:
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
    ) -> Any:
        """One prediction per image, in pixels of the original images."""
        return self._read(model_results, pre_processing_meta, self._limits(kwargs), kwargs)

    def _read(
        self, raw: list[RawOutputs], meta: list[ImageTransform], limits: BoxLimits, options: dict[str, Any]
    ) -> Any:
        """One answer per image, from what the graph gave."""
        raise NotImplementedError

    def pre_process(self, images: object, **kwargs: Any) -> tuple[NetworkInputs, list[ImageTransform]]:
        """What the graph takes for all `images` at once, and the way back to each of them."""
        self._check(kwargs)
        prepared = self._runner.prepare(images, parse_image_options(kwargs))
        return prepared.inputs, prepared.transforms

    def _limits(self, options: dict[str, Any]) -> BoxLimits:
        self._check(options)
        return parse_box_limits(options, self._defaults, self._confidence)

    def _images(self, raw: list[RawOutputs], meta: list[ImageTransform]) -> list[tuple[RawOutputs, ImageTransform]]:
        images = [image for part in raw for image in part.images()]
        if len(images) != len(meta):
            raise InvalidParameterError(
                "raw outputs and metadata are not of the same images.",
                needs=f"metadata of {len(images)} images",
                found=f"metadata of {len(meta)}",
            )
        return list(zip(images, meta, strict=True))

    def _check_class_ids(self, class_id: Array) -> None:
        """Graphs that hold the suppression have no class axis to count, so wrong names show only here."""
        if class_id.shape[0] and int(class_id.max()) >= len(self._names):
            raise CorruptedModelPackageError(
                f"{self._label}: the graph found class {int(class_id.max())}, which has no name.",
                needs=f"at least {int(class_id.max()) + 1} names",
                found=f"{len(self._names)} in class_names.txt",
                fix="pass labels= with the names the model was trained with",
            )

    def _as_asked(self, prediction: Kind) -> Kind:
        """`prediction` with the kind of arrays that the model was loaded for."""
        if self._arrays is None:
            return prediction
        return prediction.torch() if self._arrays == "torch" else prediction.numpy()
