"""Base class of models that find objects of classes named in the call."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Generic

from inference_models.predictions.detections import Detections
from inference_models.tasks import Task
from inference_models.tasks.stages import (
    Drawable,
    LoadedModel,
    PreprocessedInputs,
    PreprocessingMetadata,
    RawPrediction,
)

if TYPE_CHECKING:
    from inference_models.tasks.stages import Images


class OpenVocabularyObjectDetectionModel(
    Drawable, LoadedModel, Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction]
):
    """Answers with one `Detections` per image; class 0, 1, ... are the classes of the call, in their order."""

    def infer(self, images: Images, classes: list[str], **kwargs: Any) -> list[Detections]:
        """One `Detections` per image; every option is passed to all three stages."""
        inputs, metadata = self.pre_process(images, **kwargs)
        results = self.forward(inputs, classes, **kwargs)
        return self.post_process(results, metadata, **kwargs)

    def __call__(self, images: Images, classes: list[str], **kwargs: Any) -> list[Detections]:
        """The same as `infer`."""
        return self.infer(images, classes, **kwargs)

    @abstractmethod
    def pre_process(self, images: Images, **kwargs: Any) -> tuple[PreprocessedInputs, PreprocessingMetadata]:
        """What the network takes, and what it takes to undo the way there."""

    @abstractmethod
    def forward(self, pre_processed_images: PreprocessedInputs, classes: list[str], **kwargs: Any) -> RawPrediction:
        """The raw outputs of the network for these classes."""

    @abstractmethod
    def post_process(
        self, model_results: RawPrediction, pre_processing_meta: PreprocessingMetadata, **kwargs: Any
    ) -> list[Detections]:
        """One `Detections` per image, in pixels of the original image."""


TASK = Task(
    name="open-vocabulary-object-detection",
    model=OpenVocabularyObjectDetectionModel,
    predictions={Detections: "objects"},
    has_classes=False,
)
