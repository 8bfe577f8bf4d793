"""Multi-label classification: every class that an image shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from inference_models.arrays import device_of, namespace
from inference_models.families import ClassificationGraph
from inference_models.predictions.classification import MultiLabelClassificationPrediction
from inference_models.tasks import Task
from inference_models.tasks.classification import ScoredGraph, WithFeatures
from inference_models.tasks.graph_options import ConfidenceRule, MultiLabelOptions
from inference_models.tasks.graph_runner import NetworkInputs, OpenedPackage, RawOutputs
from inference_models.tasks.stages import KnowsClasses, PlainStagedModel, PreprocessedInputs, RawPrediction

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import Array


class MultiLabelClassificationModel(
    KnowsClasses,
    PlainStagedModel[PreprocessedInputs, RawPrediction, list[MultiLabelClassificationPrediction]],
    Generic[PreprocessedInputs, RawPrediction],
):
    """Answers with one `MultiLabelClassificationPrediction` per image."""


class GraphMultiLabelClassifier(ScoredGraph, MultiLabelClassificationModel[NetworkInputs, list[RawOutputs]]):
    """A multi-label classifier whose whole work is one graph. Safe to call from many threads.

    Every method takes the options of `MultiLabelOptions` by name.
    """

    OPTIONS = MultiLabelOptions

    def __init__(self, graph: OpenedPackage, family: ClassificationGraph) -> None:
        super().__init__(graph, family)
        self._confidence = ConfidenceRule(family.confidence, graph.class_names, graph.recommended)

    def _reader(self, options: dict[str, Any]) -> Callable[[Array], list[MultiLabelClassificationPrediction]]:
        self._check(options)
        threshold = self._confidence.resolve(options.get("confidence"))
        return lambda scores: [self._prediction(row, threshold) for row in scores]

    def _prediction(self, scores: Array, threshold: Array) -> MultiLabelClassificationPrediction:
        xp = namespace(scores)
        (passing,) = xp.nonzero(scores >= xp.asarray(threshold, dtype=scores.dtype, device=device_of(scores)))
        return MultiLabelClassificationPrediction(
            class_ids=xp.astype(passing, xp.int64), confidence=scores, class_names=self._names
        )


class GraphMultiLabelClassifierWithFeatures(WithFeatures, GraphMultiLabelClassifier):
    """The classifier for `required_capabilities="image_embeddings"`."""


def bind(graph: OpenedPackage, family: ClassificationGraph) -> GraphMultiLabelClassifier:
    """The classifier of an opened package, with features where those are among the outputs."""
    return (GraphMultiLabelClassifierWithFeatures if graph.further_outputs else GraphMultiLabelClassifier)(
        graph, family
    )


TASK = Task(
    name="multi-label-classification",
    model=MultiLabelClassificationModel,
    predictions={MultiLabelClassificationPrediction: "scores"},
    graph=ClassificationGraph,
    bind=bind,
    post_processing="sigmoid",
)
