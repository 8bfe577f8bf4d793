"""Gaze detection: where a face looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from inference_models.arrays import as_kind, namespace
from inference_models.families import GazeGraph
from inference_models.predictions.gaze import GazeDetection
from inference_models.tasks import Task
from inference_models.tasks.graph_options import ImageOptions, parse_image_options
from inference_models.tasks.graph_runner import NetworkInputs, OneGraph, OpenedPackage, RawOutputs
from inference_models.tasks.stages import Drawable, PlainStagedModel, PreprocessedInputs, RawPrediction

if TYPE_CHECKING:
    from inference_models.arrays import Array


class GazeDetectionModel(
    Drawable,
    PlainStagedModel[PreprocessedInputs, RawPrediction, GazeDetection],
    Generic[PreprocessedInputs, RawPrediction],
):
    """Answers with one `GazeDetection` for the whole batch; every image is the crop of one face."""


class GraphGazeDetector(OneGraph, GazeDetectionModel[NetworkInputs, list[RawOutputs]]):
    """A gaze detector whose whole work is one graph, on any backend. Safe to call from many threads.

    Every method takes the options of `ImageOptions` by name.
    """

    OPTIONS = ImageOptions

    def __init__(self, graph: OpenedPackage, family: GazeGraph) -> None:
        outputs = graph.session.outputs
        family.layout.check([output.shape for output in outputs])
        super().__init__(graph, lambda _: None)
        self._layout = family.layout.named([output.name for output in outputs])

    def infer(self, images: object, **kwargs: Any) -> GazeDetection:
        """Yaw and pitch, (B,) float32 radians, of the face on every image, as one object for the whole batch.

        Raises:
            ModelInputError: an image cannot be used; the text names it.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed.
        """
        self._check(kwargs)
        rows = self._runner.answers(images, parse_image_options(kwargs), lambda raw, _: list(self._angles(raw)))
        return self._prediction(namespace(rows[0]).stack(rows))

    def pre_process(self, images: object, **kwargs: Any) -> NetworkInputs:
        """What the graph takes for all `images` at once."""
        self._check(kwargs)
        return self._runner.prepare(images, parse_image_options(kwargs)).inputs

    def post_process(self, model_results: list[RawOutputs], **kwargs: Any) -> GazeDetection:
        """Yaw and pitch of the face on every image."""
        self._check(kwargs)
        return self._prediction(self._angles(model_results))

    def _angles(self, raw: list[RawOutputs]) -> Array:
        parts = [self._layout.decode(part.outputs) for part in raw]
        return parts[0] if len(parts) == 1 else namespace(parts[0]).concat(parts)

    def _prediction(self, angles: Array) -> GazeDetection:
        asked = angles if self._arrays is None else as_kind(angles, self._arrays)
        return GazeDetection(yaw=asked[:, 0], pitch=asked[:, 1])


TASK = Task(
    name="gaze-detection",
    model=GazeDetectionModel,
    predictions={GazeDetection: "gaze"},
    graph=GazeGraph,
    bind=GraphGazeDetector,
    has_classes=False,
)
