"""Classification: the one class that an image shows, and the scores of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from inference_models.arrays import namespace
from inference_models.decoders.classes import FUSED
from inference_models.errors import CorruptedModelPackageError
from inference_models.families import AnomalyGraph, ClassificationGraph
from inference_models.predictions.classification import ClassificationPrediction
from inference_models.tasks import Task
from inference_models.tasks.embedding import ImageEmbeddingModel, describe_vectors
from inference_models.tasks.graph_options import ImageOptions
from inference_models.tasks.graph_runner import NetworkInputs, OpenedPackage, RawOutputs, RowPerImage
from inference_models.tasks.stages import KnowsClasses, PlainStagedModel, PreprocessedInputs, RawPrediction

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import Array


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
