"""Semantic segmentation: the class of every pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from inference_models.errors import CorruptedModelPackageError
from inference_models.families import SemanticGraph
from inference_models.package.class_names import NAMES_FIX
from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult
from inference_models.tasks import Task
from inference_models.tasks.graph_maps import MapReader, device_of_torch, window_of
from inference_models.tasks.graph_options import ConfidenceRule, SemanticOptions
from inference_models.tasks.graph_runner import NetworkInputs, OpenedPackage, RawOutputs, unlike_class_count
from inference_models.tasks.stages import (
    KnowsClasses,
    PreprocessedInputs,
    PreprocessingMetadata,
    RawPrediction,
    StagedModel,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import NumpyArray
    from inference_models.decoders.maps import Window
    from inference_models.preprocess.geometry import ImageTransform

BACKGROUND = "background"
NO_CLASS = -1
"""In a map, of pixels that have none, where the model knows no class `background`."""
LARGEST_MAPS = 6
"""Values per pixel of the picture that an answer keeps to compute its confidence of: as much as it takes itself."""


class SemanticSegmentationModel(
    KnowsClasses,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, list[SemanticSegmentationResult]],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one `SemanticSegmentationResult` per image, in the order of the images."""


class GraphSemanticSegmenter(
    MapReader, SemanticSegmentationModel[NetworkInputs, "list[ImageTransform]", list[RawOutputs]]
):
    """A semantic segmenter whose whole work is one graph, on any backend. Safe to call from many threads.

    A graph gives logits of each class (B, C, h, w), which are resized before the best one is chosen; of everything but
    the background; of the one class that is not the background; or ready class ids (B, h, w), whose confidence is 1.
    Pixels the network did not see, and those less sure than `confidence`, are background with a confidence of 0; -1
    where the model knows no class `background`. Of mattes the confidence is how much of a pixel is foreground,
    everywhere the network saw. Every method takes the options of `SemanticOptions` by name.
    """

    OPTIONS = SemanticOptions

    def __init__(self, graph: OpenedPackage, family: SemanticGraph) -> None:
        from inference_models.decoders.maps import MapLayout  # noqa: PLC0415 - brings NumPy

        layout = family.queries or MapLayout("class ids (B, h, w), or one map per class (B, C, h, w)")
        super().__init__(graph, layout)
        if self._channels == 1 and len(self._names) == 1:
            self._names = (BACKGROUND, *self._names)
        lowered = [name.lower() for name in self._names]
        self._background = lowered.index(BACKGROUND) if BACKGROUND in lowered else NO_CLASS
        if self._channels is not None:
            self._class_ids(self._channels)
        self._scores = family.scores or graph.fused
        self._matte = family.matte
        self._activation = None if self._scores else family.activation
        self._confidence = ConfidenceRule(family.confidence, self._names, graph.recommended)

    def _class_ids(self, channels: int) -> list[int]:
        """The class of each channel.

        Raises:
            CorruptedModelPackageError: there are more or fewer of them than names.
        """
        ids = list(range(len(self._names)))
        if channels == len(ids) and channels > 1:
            return ids
        if channels == len(ids) - 1 and self._background != NO_CLASS:
            return [number for number in ids if number != self._background]
        raise unlike_class_count(channels, self._runner.session, self._names)

    def _reader(self, options: dict[str, Any]) -> Callable[[list[RawOutputs], list[ImageTransform]], Any]:
        self._check(options)
        threshold = self._confidence.only(
            self._confidence.resolve(options.get("confidence")), options.get("class_filter")
        )
        return lambda raw, meta: [self._result(image, way, threshold) for image, way in self._images(raw, meta)]

    def _result(
        self, image: RawOutputs, transform: ImageTransform, threshold: float | NumpyArray
    ) -> SemanticSegmentationResult:
        import numpy as np  # noqa: PLC0415

        cells, window = self._cells(image), window_of(transform)
        if cells.ndim == 3 and len(cells) > 1:
            ids, scores = self._best_of(cells, window, threshold)
        else:
            ids, sure = self._of_one_map(cells, window)
            unsure = sure < (threshold if np.ndim(threshold) == 0 else np.asarray(threshold)[ids])
            if unsure.any():
                ids[unsure] = self._background
                if not self._matte:
                    sure[unsure] = 0.0
            scores = lambda: sure  # noqa: E731 - the other branch has one that computes
        device = device_of_torch(image.outputs[0])
        return SemanticSegmentationResult.with_confidence_on_demand(
            self._on_image(ids, transform, fill=self._background, device=device),
            lambda: self._on_image(scores(), transform, fill=0.0, device=device),
            class_names=self._names,
        )

    def _best_of(
        self, cells: NumpyArray, window: Window, threshold: float | NumpyArray
    ) -> tuple[NumpyArray, Callable[[], NumpyArray]]:
        """(height, width) int64 class ids of a window, and what computes their float32 scores."""
        import numpy as np  # noqa: PLC0415

        from inference_models.decoders.class_maps import Classes, class_map, every_pixel  # noqa: PLC0415
        from inference_models.decoders.maps import as_float32  # noqa: PLC0415

        table = np.array(self._class_ids(len(cells)))
        least = np.broadcast_to(np.asarray(threshold, np.float32), len(self._names))[table]
        classes = Classes(ids=table, least=least, unsure=self._background, activation=self._activation)
        # A copy, so that an answer that is kept does not keep the outputs of its whole batch.
        seen = window.part(as_float32(cells), "linear").copy()
        ids, scores = class_map(seen, window.size, classes)
        if scores is None and seen.size > LARGEST_MAPS * ids.size:
            ids, scores = every_pixel(seen, window.size, classes)
        ready = scores
        return ids, lambda: every_pixel(seen, window.size, classes)[1] if ready is None else ready

    def _of_one_map(self, cells: NumpyArray, window: Window) -> tuple[NumpyArray, NumpyArray]:
        """(height, width) int64 class ids of a window, and float32 scores, of ready ids or one class."""
        import numpy as np  # noqa: PLC0415

        from inference_models.decoders.maps import as_float32, foreground_score  # noqa: PLC0415

        if cells.ndim == 2:
            return self._ready(window.part(cells.astype(np.int64), "nearest"), window.size)
        scores = foreground_score(as_float32(cells[0]), window, scores=self._scores)
        return np.full(scores.shape, self._class_ids(1)[0]), scores

    def _ready(self, ids: NumpyArray, size: tuple[int, int]) -> tuple[NumpyArray, NumpyArray]:
        """The nearest of (h, w) `ids` for (height, width) pixels, all of them sure."""
        import numpy as np  # noqa: PLC0415

        from inference_models.decoders.maps import nearest  # noqa: PLC0415

        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= len(self._names):
            raise CorruptedModelPackageError(
                f"{self._label}: the graph gave class {high if low >= 0 else low}, which has no name.",
                needs=f"class ids from 0 to {len(self._names) - 1}, one for each of the names",
                found=f"{low} to {high}",
                fix=NAMES_FIX,
            )
        return nearest(ids, size), np.ones(size, np.float32)


TASK = Task(
    name="semantic-segmentation",
    model=SemanticSegmentationModel,
    predictions={SemanticSegmentationResult: "regions"},
    graph=SemanticGraph,
    bind=GraphSemanticSegmenter,
    post_processing="softmax",
)
