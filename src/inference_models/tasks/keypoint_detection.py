"""Key points: named points of the objects of the classes that a model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference_models.decoders.layout import known
from inference_models.decoders.types import KeyPointHead
from inference_models.families import CropPointGraph, KeyPointGraph, TwoStageGraph
from inference_models.predictions.detections import Detections
from inference_models.predictions.key_points import KeyPoints
from inference_models.record import replace
from inference_models.tasks import Task
from inference_models.tasks.class_columns import ClassColumns
from inference_models.tasks.graph_objects import ObjectFinder, chosen_decoder
from inference_models.tasks.graph_options import KeyPointOptions, parse_share
from inference_models.tasks.graph_runner import NetworkInputs, OpenedPackage, RawOutputs
from inference_models.tasks.key_point_models import KeyPointsAnswer, KeyPointsDetectionModel

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.decoders.types import BoxLimits, PointSets
    from inference_models.families import Graph
    from inference_models.preprocess.geometry import ImageTransform


class GraphKeyPointDetector(
    ObjectFinder, KeyPointsDetectionModel[NetworkInputs, "list[ImageTransform]", list[RawOutputs]]
):
    """A key-point detector whose whole work is one graph, on any backend. Safe to call from many threads.

    Every method takes the options of `KeyPointOptions` by name.
    """

    OPTIONS = KeyPointOptions

    def __init__(self, graph: OpenedPackage, family: KeyPointGraph) -> None:
        decoder = chosen_decoder(family.decoder, family.fused, graph)
        if decoder.named is not None:
            decoder = decoder.named([spec.name for spec in graph.session.outputs])
        names = graph.key_points or family.key_points.for_classes(len(graph.class_names))
        names.check_classes(graph.class_names)
        only_size = None if graph.preprocess.dynamic else graph.preprocess.size
        head = KeyPointHead(tuple(map(len, names.classes)), graph.normalized_boxes, only_size)
        shapes = [spec.shape for spec in graph.session.outputs]
        if known(shapes):
            decoder.check(shapes, head)
        removed = graph.removed_class_names if family.extra_columns else ()
        self._columns = ClassColumns.of(head.classes, graph.class_names, removed, label=graph.label)
        super().__init__(replace(graph, class_names=self._columns.names), family, lambda _: None)
        self._points = names.of_classes(number for number, new in enumerate(self._columns.ids) if new >= 0)
        self._decoder, self._head = decoder, head
        self._threshold, self._clamp = family.key_points_threshold, family.clamp

    @property
    def key_points_classes(self) -> list[list[str]]:
        """Per class the names of its key points, in the order of their slots."""
        return [list(names) for names in self._points.classes]

    @property
    def skeletons(self) -> list[list[tuple[int, int]]]:
        """Per class the pairs of key points, numbered from 0, that a line joins."""
        return [list(lines) for lines in self._points.skeletons]

    def infer(self, images: object, **kwargs: Any) -> KeyPointsAnswer:
        """One `KeyPoints` per image, and one `Detections` per image where the graph gives boxes: the same rows.

        Args:
            images: one image or a list: (H, W, 3) uint8 BGR arrays, (3, H, W) RGB tensors, PIL images, paths, bytes.
            **kwargs: `KeyPointOptions`.

        Raises:
            ModelInputError: an image cannot be used; the text names it.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed.
        """
        return self._answer(super().infer(images, **kwargs))

    def post_process(
        self, model_results: list[RawOutputs], pre_processing_meta: list[ImageTransform], **kwargs: Any
    ) -> KeyPointsAnswer:
        """Key points and boxes in pixels of the original images."""
        return self._answer(super().post_process(model_results, pre_processing_meta, **kwargs))

    def _answer(self, found: list[tuple[KeyPoints, Detections]]) -> KeyPointsAnswer:
        boxes = [detections for _, detections in found] if self._decoder.gives_boxes else None
        return [key_points for key_points, _ in found], boxes

    def _read(
        self, raw: list[RawOutputs], meta: list[ImageTransform], limits: BoxLimits, options: dict[str, Any]
    ) -> list[tuple[KeyPoints, Detections]]:
        threshold = parse_share(options, "key_points_threshold", self._threshold)
        if self._columns.removes:
            limits = self._columns.limits(limits)
        found = []
        for image, transform in self._images(raw, meta):
            # The box around the points of the only object there is does not say whether it is in the picture.
            shows = transform.shows if self._decoder.gives_boxes else None
            (sets,) = self._decoder.decode(image.outputs, image.frame, replace(limits, shows=shows), self._head)
            if self._columns.removes:
                sets = replace(sets, boxes=self._columns.renumbered(sets.boxes))
            self._check_class_ids(sets.boxes.class_id)
            found.append((self._key_points(sets, transform, threshold), self._detections(sets, transform)))
        return found

    def _key_points(self, sets: PointSets, transform: ImageTransform, threshold: float) -> KeyPoints:
        from inference_models.arrays import namespace  # noqa: PLC0415 - brings array-api-compat

        xp, boxes = namespace(sets.xy), sets.boxes
        missing = self._missing(sets, threshold)
        xy = transform.points_to_image(sets.xy, clamp=self._clamp)
        covariance = None
        if sets.covariance is not None:
            covariance = transform.covariance_to_image(sets.covariance)
            covariance = xp.where(missing[..., None, None], xp.nan, covariance)
        return self._as_asked(
            KeyPoints(
                xy=xp.where(missing[..., None], 0.0, xy),
                class_id=boxes.class_id,
                confidence=xp.where(missing, 0.0, sets.confidence),
                key_points_metadata=sets.metadata,
                covariance=covariance,
                detection_confidence=boxes.confidence,
                class_names=self._names,
            )
        )

    def _missing(self, sets: PointSets, threshold: float) -> Array:
        """(n, K) bool: points below the threshold, slots that the class does not have, and what is no number."""
        from inference_models.arrays import namespace  # noqa: PLC0415
        from inference_models.decoders.candidates import as_float32  # noqa: PLC0415

        xp = namespace(sets.xy)
        count = as_float32(list(map(len, self._points.classes)), like=sets.xy)[sets.boxes.class_id]
        slot = as_float32(range(self._head.points), like=sets.xy)
        finite = xp.all(xp.isfinite(sets.xy), axis=-1) & xp.isfinite(sets.confidence)
        return (sets.confidence < threshold) | ~finite | (slot[None, :] >= count[:, None])

    def _detections(self, sets: PointSets, transform: ImageTransform) -> Detections:
        return self._as_asked(
            Detections(
                xyxy=transform.boxes_to_image(sets.boxes.xyxy),
                class_id=sets.boxes.class_id,
                confidence=sets.boxes.confidence,
                class_names=self._names,
            )
        )


def _bind(package: OpenedPackage, graph: Graph) -> KeyPointsDetectionModel:
    if isinstance(graph, KeyPointGraph):
        return GraphKeyPointDetector(package, graph)
    if isinstance(graph, CropPointGraph):
        from inference_models.tasks.crop_key_points import CropKeyPointDetector  # noqa: PLC0415 - few models need it

        return CropKeyPointDetector(package, graph)
    from inference_models.tasks.two_stage_key_points import TwoStageKeyPointDetector  # noqa: PLC0415

    return TwoStageKeyPointDetector(package)


TASK = Task(
    name="keypoint-detection",
    model=KeyPointsDetectionModel,
    predictions={KeyPoints: "points", Detections: "objects"},
    graph=KeyPointGraph | CropPointGraph | TwoStageGraph,
    bind=_bind,
    post_processing="nms",
)
