"""Base class of models that read text and say where it stands."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic

from inference_models.predictions.detections import Detections
from inference_models.tasks import Task
from inference_models.tasks.stages import (
    Drawable,
    PreprocessedInputs,
    PreprocessingMetadata,
    RawPrediction,
    StagedModel,
)


class StructuredOCRModel(
    Drawable,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, tuple[list[str], list[Detections]]],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one text per image, and one `Detections` per image with the `text` of each box in its metadata."""

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """Name of the kinds of boxes, for example block, line and word."""


TASK = Task(name="structured-ocr", model=StructuredOCRModel, predictions={Detections: "objects"}, has_classes=False)
