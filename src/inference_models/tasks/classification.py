"""Classification: the one class that an image shows, and the scores of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from inference_models.arrays import as_kind, namespace
from inference_models.decoders.classes import FUSED
from inference_models.families import ClassificationGraph
from inference_models.predictions.classification import ClassificationPrediction
from inference_models.tasks import Task
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
        super().__init__(graph, decoder.count_classes)
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
        parts = [self._decode(part.outputs) for part in raw]
        scores = parts[0] if len(parts) == 1 else namespace(parts[0]).concat(parts)
        return scores if self._arrays is None else as_kind(scores, self._arrays)


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


TASK = Task(
    name="classification",
    model=ClassificationModel,
    predictions={ClassificationPrediction: "scores"},
    graph=ClassificationGraph,
    bind=GraphClassifier,
    post_processing="softmax",
)
