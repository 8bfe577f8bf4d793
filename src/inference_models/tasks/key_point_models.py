"""The public base class of key-point detectors, whatever they are made of."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeAlias

from inference_models.predictions.detections import Detections
from inference_models.predictions.key_points import KeyPoints
from inference_models.tasks.stages import (
    KnowsClasses,
    PreprocessedInputs,
    PreprocessingMetadata,
    RawPrediction,
    StagedModel,
)

KeyPointsAnswer: TypeAlias = tuple[list[KeyPoints], list[Detections] | None]


class KeyPointsDetectionModel(
    KnowsClasses,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, KeyPointsAnswer],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one `KeyPoints` per image, and one `Detections` per image where the model gives boxes too."""

    @property
    @abstractmethod
    def key_points_classes(self) -> list[list[str]]:
        """Per class the names of its key points, in the order of their slots."""

    @property
    @abstractmethod
    def skeletons(self) -> list[list[tuple[int, int]]]:
        """Per class the pairs of key points, numbered from 0, that a line joins."""
