"""Base classes of models that say what an image shows: one class, or several."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic

from inference_models.predictions.classification import ClassificationPrediction, MultiLabelClassificationPrediction
from inference_models.tasks.lifecycle import Drawable
from inference_models.tasks.stages import PlainStagedModel, PreprocessedInputs, RawPrediction


class ClassificationModel(
    Drawable,
    PlainStagedModel[PreprocessedInputs, RawPrediction, ClassificationPrediction],
    Generic[PreprocessedInputs, RawPrediction],
):
    """Answers with one `ClassificationPrediction` for the whole batch."""

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """Name of class 0, 1, ..."""


class MultiLabelClassificationModel(
    Drawable,
    PlainStagedModel[PreprocessedInputs, RawPrediction, list[MultiLabelClassificationPrediction]],
    Generic[PreprocessedInputs, RawPrediction],
):
    """Answers with one `MultiLabelClassificationPrediction` per image."""

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """Name of class 0, 1, ..."""
