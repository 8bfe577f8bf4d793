"""Base class of models that find the key points of objects."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from inference_models.predictions.detections import Detections
from inference_models.predictions.key_points import KeyPoints
from inference_models.tasks.lifecycle import Drawable
from inference_models.tasks.stages import PreprocessedInputs, PreprocessingMetadata, RawPrediction, StagedModel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from inference_models.entities import ColorFormat
    from inference_models.preprocess.pixels import InputRange

KeyPointsAnswer: TypeAlias = tuple[list[KeyPoints], list[Detections] | None]


class KeyPointsDetectionModel(
    Drawable,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, KeyPointsAnswer],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one `KeyPoints` per image, and one `Detections` per image where the model gives boxes too."""

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """Name of class 0, 1, ..."""

    @property
    @abstractmethod
    def key_points_classes(self) -> list[list[str]]:
        """Per class the names of its key points, in the order of their slots."""

    @property
    @abstractmethod
    def skeletons(self) -> list[list[tuple[int, int]]]:
        """Per class the pairs of key points, numbered from 0, that a line joins."""

    def annotate(
        self,
        image: Any,
        predictions: Any,
        *,
        input_color_format: ColorFormat | None = None,
        input_range: InputRange | None = None,
    ) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8 BGR copy of `image` with key points, skeletons and boxes; arguments as in `Drawable`."""
        from inference_models.drawing import annotate  # noqa: PLC0415 - OpenCV is loaded when something is drawn

        return annotate(
            image,
            predictions,
            class_names=self.class_names,
            input_color_format=input_color_format,
            input_range=input_range,
            skeletons=self.skeletons,
        )
