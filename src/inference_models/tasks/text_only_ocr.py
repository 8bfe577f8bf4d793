"""Base class of models that read the text of an image."""

from __future__ import annotations

from typing import Generic

from inference_models.tasks import Task
from inference_models.tasks.stages import PlainStagedModel, PreprocessedInputs, RawPrediction


class TextOnlyOCRModel(
    PlainStagedModel[PreprocessedInputs, RawPrediction, list[str]],
    Generic[PreprocessedInputs, RawPrediction],
):
    """Answers with one text per image, in the order of the images."""


TASK = Task(name="text-only-ocr", model=TextOnlyOCRModel, has_classes=False)
