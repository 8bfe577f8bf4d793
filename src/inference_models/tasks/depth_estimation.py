"""Base class of models that estimate how far away every pixel is."""

from __future__ import annotations

from typing import Generic

from inference_models.arrays import Array
from inference_models.tasks import Task
from inference_models.tasks.stages import PreprocessedInputs, PreprocessingMetadata, RawPrediction, StagedModel


class DepthEstimationModel(
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, list[Array]],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one (H, W) float array per image, on the pixels of the original image.

    Whether the numbers are metres, relative depth or inverse depth is the model's own.
    """


TASK = Task(name="depth-estimation", model=DepthEstimationModel, has_classes=False)
