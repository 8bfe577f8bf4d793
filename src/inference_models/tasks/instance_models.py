"""Base class of models that find objects and the pixels that belong to them."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Generic

from inference_models.errors import InvalidParameterError
from inference_models.fork import Lock
from inference_models.predictions.instances import InstanceDetections
from inference_models.tasks.stages import (
    Answer,
    KnowsClasses,
    PreprocessedInputs,
    PreprocessingMetadata,
    RawPrediction,
    StagedModel,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inference_models.entities import InstanceSegmentationMaskFormat
    from inference_models.tasks.stages import Images


class PredictionFuture(Generic[Answer]):
    """An answer whose last step runs when `result` is first called. Safe to use from several threads.

    This one is for networks that ran before it was made; a model that leaves work on the device returns a subclass.
    """

    def __init__(self, finish: Callable[[], Answer]) -> None:
        self._finish = finish
        self._answers: list[Answer] = []
        self._lock = Lock()

    def submit_gpu_work(self) -> None:
        """Hand the work to the device if that has not happened yet. Here it has."""

    def done(self) -> bool:
        """Whether `result` need not wait for the device. Here it never does."""
        return True

    def result(self) -> Answer:
        """The answer; computed once, and an error of the last step is raised by every call."""
        with self._lock:
            if not self._answers:
                self._answers.append(self._finish())
            return self._answers[0]


class InstanceSegmentationModel(
    KnowsClasses,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, list[InstanceDetections]],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one `InstanceDetections` per image, in the order of the images."""

    supports_stream_pipeline: bool = False
    """Whether the stages of consecutive calls may overlap on the device."""

    @property
    @abstractmethod
    def supported_mask_formats(self) -> set[InstanceSegmentationMaskFormat]:
        """What `mask_format=` may be: `"dense"`, `"rle"`, or both."""

    @property
    def max_batch_size(self) -> int | None:
        """Images that one pass of the network takes at most; None: no limit is known."""
        return None

    def infer_async(self, images: Images, **kwargs: Any) -> PredictionFuture[list[InstanceDetections]]:
        """A promise of the answer of `infer`: the network is started now, post-processing runs in `.result()`."""
        inputs, metadata = self.pre_process(images, **kwargs)
        return self.forward_async(inputs, metadata, **kwargs)

    def forward_async(
        self, pre_processed_images: PreprocessedInputs, pre_processing_meta: PreprocessingMetadata, **kwargs: Any
    ) -> PredictionFuture[list[InstanceDetections]]:
        """A promise of the predictions for what `pre_process` gave; here the network has run when this returns."""
        results = self.forward(pre_processed_images, **kwargs)
        return PredictionFuture(lambda: self.post_process(results, pre_processing_meta, **kwargs))


FORMATS: tuple[InstanceSegmentationMaskFormat, ...] = ("dense", "polygons", "rle")


def mask_format(options: Mapping[str, Any]) -> InstanceSegmentationMaskFormat:
    """The form of the masks that a call asks for.

    Raises:
        InvalidParameterError: there is no such form, or it asks for two.
    """
    wanted = {options[name] for name in ("masks", "mask_format") if options.get(name) is not None} or {"rle"}
    for name in FORMATS:
        if wanted == {name}:
            return name
    raise InvalidParameterError(
        "masks cannot be given in this form.",
        needs=f"masks= one of {', '.join(map(repr, FORMATS))}",
        found=" and ".join(sorted(map(repr, wanted))),
    )
