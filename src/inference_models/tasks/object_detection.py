"""Base class of models that find objects of the classes they were trained on."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic

from inference_models.predictions.detections import Detections
from inference_models.tasks.lifecycle import Drawable
from inference_models.tasks.stages import PreprocessedInputs, PreprocessingMetadata, RawPrediction, StagedModel


class ObjectDetectionModel(
    Drawable,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, list[Detections]],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one `Detections` per image, in the order of the images."""

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """Name of class 0, 1, ..."""
