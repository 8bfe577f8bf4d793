"""Classification: the one class that an image shows, and the scores of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from inference_models.arrays import is_torch, namespace, to_numpy
from inference_models.decoders.classes import FUSED
from inference_models.errors import CorruptedModelPackageError
from inference_models.families import AnomalyGraph, ClassificationGraph
from inference_models.predictions.classification import ClassificationPrediction
from inference_models.tasks import Task
from inference_models.tasks.embedding import ImageEmbeddingModel, describe_vectors
from inference_models.tasks.graph_options import (
    AnomalyOptions,
    ConfidenceRule,
    ImageOptions,
    parse_image_options,
    parse_switch,
)
from inference_models.tasks.graph_runner import NetworkInputs, OneGraph, OpenedPackage, RawOutputs, RowPerImage
from inference_models.tasks.stages import KnowsClasses, PlainStagedModel, PreprocessedInputs, RawPrediction

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import Array
    from inference_models.package.inference_config import Calibration

_LARGEST_MARGIN = 60.0
"""Of what the sigmoid is taken; it is 1 long before."""


class ClassificationModel(
    KnowsClasses,
    PlainStagedModel[PreprocessedInputs, RawPrediction, ClassificationPrediction],
    Generic[PreprocessedInputs, RawPrediction],
):
    """Answers with one `ClassificationPrediction` for the whole batch."""


class ScoredGraph(RowPerImage):
    """A graph that gives one score per class."""

    def __init__(self, graph: OpenedPackage, family: ClassificationGraph) -> None:
        decoder = FUSED if graph.fused else family.decoder
        self._own = len(graph.session.outputs) - graph.further_outputs or None
        super().__init__(graph, lambda shapes: decoder.count_classes(shapes[: self._own]))
        self._decode = decoder.decode

    def _rows(self, part: RawOutputs) -> Array:
        return self._decode(part.outputs[: self._own])


class WithFeatures(ScoredGraph, ImageEmbeddingModel[NetworkInputs]):
    """A classifier that also gives what goes into its last layer, (B, D), and its logits, (B, C); neither is scaled."""

    def __init__(self, graph: OpenedPackage, family: ClassificationGraph) -> None:
        super().__init__(graph, family)
        features = graph.session.outputs[-graph.further_outputs]
        if features.shape and len(features.shape) != 2:
            raise CorruptedModelPackageError(
                f"{graph.label} gives no image embeddings: what goes into its last layer is no row of numbers.",
                needs="(B, D)",
                found=str(features),
                fix="leave required_capabilities out",
            )
        self._places = {"feature_vector": -graph.further_outputs, "logits": -1 if graph.further_outputs > 1 else 0}

    def embed_images(self, images: object, output_type: str | None = None, **kwargs: Any) -> Array:
        """(n, D) float, one row per image: `"feature_vector"`, which None is too, or `"logits"`.

        Raises:
            ModelInputError: an image cannot be used; the text names it.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed.
        """
        place = self._places[self.get_embedding_info(output_type)["output_type"]]
        return self._rows_of_images(images, kwargs, lambda part: part.outputs[place])

    def forward_embedding(self, pre_processed_images: NetworkInputs, output_type: str | None = None) -> Array:
        """(n, D) float, one row per image of what the network takes."""
        place = self._places[self.get_embedding_info(output_type)["output_type"]]
        return self._joined([part.outputs[place] for part in self.forward(pre_processed_images)])

    def get_embedding_info(self, output_type: str | None = None) -> dict[str, str]:
        """The type of the vectors, and that they are not scaled."""
        return describe_vectors(output_type, [*self._places], "none")


class GraphClassifier(ScoredGraph, ClassificationModel[NetworkInputs, list[RawOutputs]]):
    """A classifier whose whole work is one graph, on any backend. Safe to call from many threads.

    Every method takes the options of `ImageOptions` by name.
    """

    OPTIONS = ImageOptions

    def _reader(self, options: dict[str, Any]) -> Callable[[Array], ClassificationPrediction]:
        self._check(options)
        return self._prediction

    def _prediction(self, scores: Array) -> ClassificationPrediction:
        xp = namespace(scores)
        best = xp.astype(xp.argmax(scores, axis=1), xp.int64)
        return ClassificationPrediction(class_id=best, confidence=scores, class_names=self._names)


class GraphClassifierWithFeatures(WithFeatures, GraphClassifier):
    """The classifier for `required_capabilities="image_embeddings"`."""


class GraphAnomalyDetector(OneGraph, ClassificationModel[NetworkInputs, "list[RawOutputs]"]):
    """Scores (B,) and maps (B, H, W) of a graph as classes `normal` and `anomalous`. Safe to call from many threads.

    `images_metadata` of the answer says of each image `anomaly_score`, `anomaly_threshold`, `anomaly_scale`,
    `is_anomalous` and, with `include_anomaly_map=True`, `anomaly_map`, (H, W) float32 over the stretched image.
    Every method takes the options of `AnomalyOptions` by name.
    """

    OPTIONS = AnomalyOptions

    def __init__(self, package: OpenedPackage) -> None:
        super().__init__(package, lambda _: None)
        if package.calibration is None:
            raise CorruptedModelPackageError(
                f"{package.label} does not say which scores are those of anomalies.",
                needs="calibration in inference_config.json",
                found="none",
            )
        self._calibration: Calibration = package.calibration
        self._confidence = ConfidenceRule(0.5, package.class_names, package.recommended)

    def pre_process(self, images: object, **kwargs: Any) -> NetworkInputs:
        """What the graph takes for all `images` at once."""
        self._check(kwargs)
        return self._runner.prepare(images, parse_image_options(kwargs)).inputs

    def infer(self, images: object, **kwargs: Any) -> ClassificationPrediction:
        """Whether each image is normal, as one object for the whole batch.

        Raises:
            ModelInputError: an image cannot be used; the text names it.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed, or gave no numbers.
        """
        self._check(kwargs)
        raw: list[RawOutputs] = []
        for prepared in self._runner.prepared(images, parse_image_options(kwargs)):
            with prepared:
                raw += self._runner.run(prepared.batches)
        return self.post_process(raw, **kwargs)

    def post_process(self, model_results: list[RawOutputs], **kwargs: Any) -> ClassificationPrediction:
        """Whether each image is normal, from what `forward` gave."""
        import numpy as np  # noqa: PLC0415 - this module is imported before there is anything to compute

        self._check(kwargs)
        confidence = "best" if kwargs.get("confidence") is None else kwargs["confidence"]
        least = np.ravel(self._confidence.resolve(confidence))[-1]
        with_maps = parse_switch(kwargs, "include_anomaly_map", default=False)
        scores = np.concatenate([to_numpy(part.outputs[0]).astype(np.float64) for part in model_results])
        maps = [self._finite(to_numpy(row)) for part in model_results for row in part.outputs[1]]
        threshold, scale = self._calibration.threshold, self._calibration.scale
        margin = np.clip((self._finite(scores) - threshold) / scale, -_LARGEST_MARGIN, _LARGEST_MARGIN)
        sure = 1 / (1 + np.exp(-margin))
        found = sure >= least
        facts: list[dict[str, Any]] = [
            {
                "anomaly_score": float(score),
                "anomaly_threshold": threshold,
                "anomaly_scale": scale,
                "is_anomalous": bool(is_anomalous),
                **({"anomaly_map": row.astype(np.float32)} if with_maps else {}),
            }
            for score, is_anomalous, row in zip(scores, found, maps, strict=True)
        ]
        prediction = ClassificationPrediction(
            class_id=found.astype(np.int64),
            confidence=np.stack([1 - sure, sure], axis=-1).astype(np.float32),
            images_metadata=facts,
            class_names=self._names,
        )
        as_torch = is_torch(model_results[0].outputs[0]) if self._arrays is None else self._arrays == "torch"
        return prediction.torch() if as_torch else prediction

    @staticmethod
    def _finite(values: Any) -> Any:
        import numpy as np  # noqa: PLC0415 - as above

        if np.isfinite(values).all():
            return values
        raise CorruptedModelPackageError(
            "the network gave scores that are no numbers.", needs="finite scores and maps", found="NaN or infinity"
        )


def bind(graph: OpenedPackage, family: ClassificationGraph | AnomalyGraph) -> ClassificationModel:
    """The classifier of an opened package, with features where those are among the outputs."""
    if isinstance(family, AnomalyGraph):
        return GraphAnomalyDetector(graph)
    return (GraphClassifierWithFeatures if graph.further_outputs else GraphClassifier)(graph, family)


TASK = Task(
    name="classification",
    model=ClassificationModel,
    predictions={ClassificationPrediction: "scores"},
    graph=ClassificationGraph | AnomalyGraph,
    bind=bind,
    post_processing="softmax",
)
