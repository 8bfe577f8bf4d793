"""Depth estimation: how far away every pixel is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Generic

from inference_models.errors import CorruptedModelPackageError
from inference_models.families import DepthGraph
from inference_models.tasks import Task
from inference_models.tasks.graph_maps import MapReader, device_of_torch, window_of
from inference_models.tasks.graph_options import ImageOptions
from inference_models.tasks.graph_runner import NetworkInputs, OpenedPackage, RawOutputs
from inference_models.tasks.stages import (
    Drawable,
    PreprocessedInputs,
    PreprocessingMetadata,
    RawPrediction,
    StagedModel,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import Array
    from inference_models.preprocess.geometry import ImageTransform


_RECIPROCALS = (1e-4, 1e4)
"""Between these Depth Pro keeps 1 / depth."""


class DepthEstimationModel(
    Drawable,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, list["Array"]],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one (H, W) float array per image, on the pixels of the original image.

    Whether the numbers are metres, relative depth or inverse depth is the model's own.
    """


class GraphDepthEstimator(MapReader, DepthEstimationModel[NetworkInputs, "list[ImageTransform]", list[RawOutputs]]):
    """A depth estimator whose whole work is one graph, on any backend. Safe to call from many threads.

    Answers with (H, W) float32 in `unit`; 0.0 where the network did not see the picture, outside of a static crop for
    example. Every method takes the options of `ImageOptions` by name.
    """

    OPTIONS = ImageOptions

    def __init__(self, graph: OpenedPackage, family: DepthGraph) -> None:
        from inference_models.decoders.maps import MapLayout  # noqa: PLC0415 - brings NumPy

        self._family = family
        dtype = next((output.dtype for output in graph.session.outputs), "float32")
        if dtype in {"int32", "int64"}:
            raise CorruptedModelPackageError(
                f"{graph.label}: the output of the graph is no depth.", needs="floats", found=dtype
            )
        super().__init__(graph, MapLayout("one output (B, h, w) or (B, 1, h, w) of depths", channels=1))

    @property
    def unit(self) -> str:
        """Of the numbers: `"metres"`, `"relative depth"`, or `"relative inverse depth"`: larger numbers are nearer."""
        return self._family.unit

    def _reader(self, options: dict[str, Any]) -> Callable[[list[RawOutputs], list[ImageTransform]], Any]:
        self._check(options)
        return lambda raw, meta: [self._depth(image, way) for image, way in self._images(raw, meta)]

    def _depth(self, image: RawOutputs, transform: ImageTransform) -> Array:
        from inference_models.decoders.maps import as_float32  # noqa: PLC0415

        cells = as_float32(self._cells(image))
        if self._family.reciprocal and len(image.outputs) > 1:
            cells = cells * (2 * math.tan(math.radians(float(image.outputs[1].reshape(-1)[0])) / 2))
        depth = window_of(transform).resized(cells.reshape(cells.shape[-2:]), self._family.resize)
        if self._family.reciprocal:
            depth = 1 / depth.clip(*_RECIPROCALS)
        return self._on_image(depth, transform, fill=0.0, device=device_of_torch(image.outputs[0]))


TASK = Task(
    name="depth-estimation",
    model=DepthEstimationModel,
    graph=DepthGraph,
    bind=GraphDepthEstimator,
    has_classes=False,
)
