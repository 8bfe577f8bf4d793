"""Gaze detection: where a face looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from inference_models.families import GazeGraph
from inference_models.predictions.gaze import GazeDetection
from inference_models.tasks import Task
from inference_models.tasks.graph_options import ImageOptions
from inference_models.tasks.graph_runner import NetworkInputs, OpenedPackage, RawOutputs, RowPerImage
from inference_models.tasks.stages import Drawable, PlainStagedModel, PreprocessedInputs, RawPrediction

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import Array


class GazeDetectionModel(
    Drawable,
    PlainStagedModel[PreprocessedInputs, RawPrediction, GazeDetection],
    Generic[PreprocessedInputs, RawPrediction],
):
    """Answers with one `GazeDetection` for the whole batch; every image is the crop of one face."""


class GraphGazeDetector(RowPerImage, GazeDetectionModel[NetworkInputs, list[RawOutputs]]):
    """A gaze detector whose whole work is one graph, on any backend. Safe to call from many threads.

    Yaw and pitch are (B,) float32 radians. Every method takes the options of `ImageOptions` by name.
    """

    OPTIONS = ImageOptions

    def __init__(self, graph: OpenedPackage, family: GazeGraph) -> None:
        outputs = graph.session.outputs
        family.layout.check([output.shape for output in outputs])
        super().__init__(graph, lambda _: None)
        self._layout = family.layout.named([output.name for output in outputs])

    def _rows(self, part: RawOutputs) -> Array:
        return self._layout.decode(part.outputs)

    def _reader(self, options: dict[str, Any]) -> Callable[[Array], GazeDetection]:
        self._check(options)
        return lambda angles: GazeDetection(yaw=angles[:, 0], pitch=angles[:, 1])


TASK = Task(
    name="gaze-detection",
    model=GazeDetectionModel,
    predictions={GazeDetection: "gaze"},
    graph=GazeGraph,
    bind=GraphGazeDetector,
    has_classes=False,
)
