"""Classification: the one class that an image shows, and the scores of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from inference_models.arrays import as_kind, namespace
from inference_models.decoders.classes import FUSED
from inference_models.errors import CorruptedModelPackageError
from inference_models.families import AnomalyGraph, ClassificationGraph
from inference_models.predictions.classification import ClassificationPrediction
from inference_models.tasks import Task
from inference_models.tasks.embedding import ImageEmbeddingModel, describe_vectors
from inference_models.tasks.graph_options import ImageOptions, parse_image_options
from inference_models.tasks.graph_runner import NetworkInputs, OneGraph, OpenedPackage, RawOutputs
from inference_models.tasks.stages import KnowsClasses, PlainStagedModel, PreprocessedInputs, RawPrediction

if TYPE_CHECKING:
    from inference_models.arrays import Array


class ClassificationModel(
    KnowsClasses,
    PlainStagedModel[PreprocessedInputs, RawPrediction, ClassificationPrediction],
    Generic[PreprocessedInputs, RawPrediction],
):
    """Answers with one `ClassificationPrediction` for the whole batch."""


class ScoredGraph(OneGraph):
    """A graph that gives one score per class."""

    def __init__(self, graph: OpenedPackage, family: ClassificationGraph) -> None:
        decoder = FUSED if graph.fused else family.decoder
        self._own = len(graph.session.outputs) - graph.further_outputs or None
        super().__init__(graph, lambda shapes: decoder.count_classes(shapes[: self._own]))
        self._decode = decoder.decode

    def pre_process(self, images: object, **kwargs: Any) -> NetworkInputs:
        """What the graph takes for all `images` at once."""
        self._check(kwargs)
        return self._runner.prepare(images, parse_image_options(kwargs)).inputs

    def _scores_of_images(self, images: object, options: dict[str, Any]) -> Array:
        self._check(options)
        rows = self._runner.answers(images, parse_image_options(options), lambda raw, _: list(self._scores(raw)))
        return namespace(rows[0]).stack(rows)

    def _scores(self, raw: list[RawOutputs]) -> Array:
        return self._joined([self._decode(part.outputs[: self._own]) for part in raw])

    def _joined(self, parts: list[Array]) -> Array:
        rows = parts[0] if len(parts) == 1 else namespace(parts[0]).concat(parts)
        return rows if self._arrays is None else as_kind(rows, self._arrays)


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
        self._check(kwargs)
        wanted = self.get_embedding_info(output_type)["output_type"]
        rows = self._runner.answers(
            images, parse_image_options(kwargs), lambda raw, _: list(self._vectors(raw, wanted))
        )
        return namespace(rows[0]).stack(rows)

    def forward_embedding(self, pre_processed_images: NetworkInputs, output_type: str | None = None) -> Array:
        """(n, D) float, one row per image of what the network takes."""
        wanted = self.get_embedding_info(output_type)["output_type"]
        return self._vectors(self.forward(pre_processed_images), wanted)

    def get_embedding_info(self, output_type: str | None = None) -> dict[str, str]:
        """The type of the vectors, and that they are not scaled."""
        return describe_vectors(output_type, [*self._places], "none")

    def _vectors(self, raw: list[RawOutputs], output_type: str) -> Array:
        return self._joined([part.outputs[self._places[output_type]] for part in raw])


class GraphClassifier(ScoredGraph, ClassificationModel[NetworkInputs, list[RawOutputs]]):
    """A classifier whose whole work is one graph, on any backend. Safe to call from many threads.

    Every method takes the options of `ImageOptions` by name.
    """

    OPTIONS = ImageOptions

    def infer(self, images: object, **kwargs: Any) -> ClassificationPrediction:
        """The best class of every image and the scores of all classes, as one object for the whole batch.

        Raises:
            ModelInputError: an image cannot be used; the text names it.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed.
        """
        return self._prediction(self._scores_of_images(images, kwargs))

    def post_process(self, model_results: list[RawOutputs], **kwargs: Any) -> ClassificationPrediction:
        """The best class of every image and the scores of all classes."""
        self._check(kwargs)
        return self._prediction(self._scores(model_results))

    def _prediction(self, scores: Array) -> ClassificationPrediction:
        xp = namespace(scores)
        best = xp.astype(xp.argmax(scores, axis=1), xp.int64)
        return ClassificationPrediction(class_id=best, confidence=scores, class_names=self._names)


class GraphClassifierWithFeatures(WithFeatures, GraphClassifier):
    """The classifier for `required_capabilities="image_embeddings"`."""


def bind(graph: OpenedPackage, family: ClassificationGraph | AnomalyGraph) -> ClassificationModel:
    """The classifier of an opened package, with features where those are among the outputs."""
    if isinstance(family, AnomalyGraph):
        from inference_models.tasks.anomalies import GraphAnomalyDetector  # noqa: PLC0415 - of few models

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
