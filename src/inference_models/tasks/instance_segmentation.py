"""Base class of models that find objects and the pixels that belong to them."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Generic

from inference_models.predictions.instances import InstanceDetections
from inference_models.tasks import Task
from inference_models.tasks.lifecycle import Drawable
from inference_models.tasks.prediction_future import PredictionFuture
from inference_models.tasks.stages import PreprocessedInputs, PreprocessingMetadata, RawPrediction, StagedModel

if TYPE_CHECKING:
    from inference_models.entities import InstanceSegmentationMaskFormat
    from inference_models.tasks.stages import Images


class InstanceSegmentationModel(
    Drawable,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, list[InstanceDetections]],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one `InstanceDetections` per image, in the order of the images."""

    supports_stream_pipeline: bool = False
    """Whether the stages of consecutive calls may overlap on the device."""

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """Name of class 0, 1, ..."""

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
        results = self.forward_async(inputs, **kwargs)
        return PredictionFuture(lambda: self.post_process(results.result(), metadata, **kwargs))

    def forward_async(self, pre_processed_images: PreprocessedInputs, **kwargs: Any) -> PredictionFuture[RawPrediction]:
        """A promise of the raw outputs; here the network has run when this returns."""
        results = self.forward(pre_processed_images, **kwargs)
        return PredictionFuture(lambda: results)


TASK = Task(name="instance-segmentation", model=InstanceSegmentationModel, predictions={InstanceDetections: "objects"})
