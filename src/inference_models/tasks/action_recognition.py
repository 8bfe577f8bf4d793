"""Base class of models that find actions in a video, and how they want its frames."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from inference_models.record import Record
from inference_models.tasks import Task
from inference_models.tasks.stages import LoadedModel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from inference_models.predictions.action_recognition import ActionRecognitionPrediction

Frame: TypeAlias = "npt.NDArray[np.uint8]"
FrameTransform = Callable[[Frame], Frame]


class VideoSampling(Record, frozen=True):
    """Which frames of a video the model wants to see at once."""

    window_seconds: float = 16.0
    """Length of one window."""
    sample_fps: float = 4.0
    """Frames per second of video that are kept."""
    min_frames: int = 4
    """Fewer frames than this are not worth a call."""
    max_frame_side: int | None = None
    """Pixels of the longer side that frames are shrunk to; None: as they are."""
    mode: Literal["sliding_window", "whole_video"] = "sliding_window"
    """One call per window, or one for the whole video."""
    max_frames: int | None = None
    """Most frames of one call."""
    overlap_frames: int = 0
    """Frames that a window shares with the one before it."""
    end_aligned: bool = False
    """The last window ends with the video, instead of being shorter."""
    fixed_sample_fps: bool = False
    """`sample_fps` must not be lowered to make a long video fit."""
    requires_regular_sampling: bool = False
    """Frames must be equally far apart in time."""
    max_sample_lateness_seconds: float = 0.0
    """How much later than its time a frame may be, for live video."""


class ActionRecognitionModel(LoadedModel):
    """Answers with the actions in a list of frames."""

    @property
    @abstractmethod
    def class_names(self) -> list[str] | None:
        """Name of the known actions; None: the call names them."""

    @abstractmethod
    def infer(
        self,
        frames: Sequence[Frame],
        class_names: list[str] | None = None,
        fps: float | None = None,
        confidence: float | None = None,
        duration_seconds: float | None = None,
        check_cancelled: Callable[[], None] | None = None,
        **kwargs: Any,
    ) -> list[ActionRecognitionPrediction]:
        """The actions in `frames`.

        Args:
            frames: (H, W, 3) uint8 RGB, in the order of time.
            class_names: actions to look for; None: those the model knows.
            fps: frames per second of `frames`.
            confidence: least confidence of an answer; None: the model's own.
            duration_seconds: how much video the frames stand for, when that is known.
            check_cancelled: called now and then; what it raises ends the call.
            **kwargs: options of the model.
        """

    span_semantics: str = "instances"
    """What a span is; `"instances"`: one occurrence of an action each."""
    confidence_threshold: float | None = None
    """Least confidence of an answer where the call does not say it; None: the model has none."""
    supports_confidence: bool = False
    """Whether answers carry a confidence that can be filtered."""
    supports_observed_duration: bool = False
    """Whether `duration_seconds` makes a difference."""

    def __call__(self, frames: Sequence[Frame], *args: Any, **kwargs: Any) -> list[ActionRecognitionPrediction]:
        """The same as `infer`."""
        return self.infer(frames, *args, **kwargs)

    @property
    def video_sampling(self) -> VideoSampling:
        """Which frames the model wants to see."""
        return VideoSampling()

    @property
    def frame_storage_transform(self) -> FrameTransform | None:
        """What to do to a frame before it is kept for later, for example shrink it; None: nothing."""
        return None

    def estimate_candidate_count(
        self,
        sampled_frames: int,  # noqa: ARG002 - models that know use them
        *,
        class_names: Sequence[str] | None = None,  # noqa: ARG002
    ) -> int | None:
        """How many spans an answer for so many frames has at most; None: it does not know."""
        return None


TASK = Task(name="action-recognition", model=ActionRecognitionModel, has_classes=False)
