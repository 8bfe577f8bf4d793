"""Base class of models that give every pixel a class."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic

from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult
from inference_models.tasks import Task
from inference_models.tasks.lifecycle import Drawable
from inference_models.tasks.stages import PreprocessedInputs, PreprocessingMetadata, RawPrediction, StagedModel


class SemanticSegmentationModel(
    Drawable,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, list[SemanticSegmentationResult]],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one `SemanticSegmentationResult` per image, in the order of the images."""

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """Name of class 0, 1, ..."""


TASK = Task(
    name="semantic-segmentation",
    model=SemanticSegmentationModel,
    predictions={SemanticSegmentationResult: "regions"},
)
