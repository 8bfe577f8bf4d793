"""Base class of models that give every pixel a class."""

from __future__ import annotations

from typing import Generic

from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult
from inference_models.tasks import Task
from inference_models.tasks.stages import (
    KnowsClasses,
    PreprocessedInputs,
    PreprocessingMetadata,
    RawPrediction,
    StagedModel,
)


class SemanticSegmentationModel(
    KnowsClasses,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, list[SemanticSegmentationResult]],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one `SemanticSegmentationResult` per image, in the order of the images."""


TASK = Task(
    name="semantic-segmentation", model=SemanticSegmentationModel, predictions={SemanticSegmentationResult: "regions"}
)
