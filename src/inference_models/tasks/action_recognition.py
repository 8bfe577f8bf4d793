"""Models that find actions in a video: the base class, how they want its frames, and those of our own networks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from inference_models.errors import InvalidParameterError, ModelInputError, nearest_hint
from inference_models.families import ActionGraph
from inference_models.record import Record
from inference_models.tasks import Task
from inference_models.tasks.graph_options import ImageOptions, parse_image_options
from inference_models.tasks.graph_runner import GraphModel, check_class_count, unlike_class_count
from inference_models.tasks.stages import LoadedModel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from inference_models.arrays import Array
    from inference_models.predictions.action_recognition import ActionRecognitionPrediction
    from inference_models.tasks.graph_runner import OpenedPackage

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


class ActionOfClip(GraphModel, ActionRecognitionModel):
    """A network that says which action a whole clip shows. Safe to call from many threads.

    It looks at `frames_in_clip` frames, evenly chosen among those of the call; fewer are repeated.
    """

    OPTIONS = ImageOptions
    span_semantics = "clip"
    supports_confidence = True

    def __init__(self, package: OpenedPackage, family: ActionGraph) -> None:
        from inference_models.decoders.classes import SOFTMAX  # noqa: PLC0415 - brings NumPy

        del family
        check_class_count(SOFTMAX.count_classes, package.session, package.class_names)
        super().__init__(package)
        self._names = package.class_names
        self._session = package.session

    @property
    def class_names(self) -> list[str]:
        """Name of class 0, 1, ..."""
        return list(self._names)

    @property
    def frames_in_clip(self) -> int:
        """How many frames the network looks at."""
        return self._session.inputs[0].shape[0] or 1

    @property
    def video_sampling(self) -> VideoSampling:
        """The whole video at once."""
        return VideoSampling(mode="whole_video", min_frames=1, max_frames=self.frames_in_clip)

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
        """The action in `frames`, from the first to the last of them.

        Args:
            frames: (T, H, W, 3) uint8 RGB, or a list of (H, W, 3), in the order of time.
            class_names: those of the known actions that may be the answer; None: all.
            fps: makes no difference here.
            confidence: least confidence of an answer; None: the best action alone, however sure.
            duration_seconds: makes no difference here.
            check_cancelled: called before the network runs; what it raises ends the call.
            **kwargs: those of `ImageOptions`.

        Returns:
            The actions, the surest first; their confidences sum to 1 over all known actions.

        Raises:
            ModelInputError: there is no frame, or one cannot be used.
            InvalidParameterError: an option is unknown, or a name is none of `class_names`.
            ModelRuntimeError: the runtime failed.
        """
        del fps, duration_seconds
        from inference_models.arrays import to_numpy  # noqa: PLC0415 - brings NumPy
        from inference_models.decoders.classes import softmax  # noqa: PLC0415
        from inference_models.predictions.action_recognition import ActionRecognitionPrediction  # noqa: PLC0415

        self._check(kwargs)
        wanted = self._numbers(class_names)
        count, chosen = self._chosen(frames)
        logits = self._logits(chosen, kwargs, check_cancelled)
        if logits.shape != (1, len(self._names)):
            raise unlike_class_count(int(logits.shape[-1]), self._session, self._names)
        scores = to_numpy(softmax(logits))[0]
        best = sorted(wanted, key=lambda number: -scores[number])
        found = best[:1] if confidence is None else [number for number in best if scores[number] >= confidence]
        return [
            ActionRecognitionPrediction(0, count - 1, self._names[number], float(scores[number])) for number in found
        ]

    def _numbers(self, class_names: list[str] | None) -> list[int]:
        unknown = [name for name in class_names or () if name not in self._names]
        if unknown:
            raise InvalidParameterError(
                f"{self._label} knows no action {unknown[0]!r}; {nearest_hint(str(unknown[0]), self._names)}.",
                needs="names of model.class_names",
                found=repr(unknown[0]),
            )
        return [number for number, name in enumerate(self._names) if class_names is None or name in class_names]

    def _chosen(self, frames: Sequence[Frame]) -> tuple[int, list[Frame]]:
        """How many frames there are, and those that the network looks at."""
        if isinstance(frames, str | bytes | PathLike):
            raise ModelInputError(
                "a video is taken as its frames, not as a file.",
                needs="(T, H, W, 3) uint8 RGB, or a list of (H, W, 3)",
                found=ascii(frames)[:80],
                fix="[frame.to_ndarray(format='rgb24') for frame in av.open(path).decode(video=0)], with PyAV",
            )
        count = len(frames)
        if not count:
            raise ModelInputError("there is no frame.", needs="at least one", found="none")
        places = (round(place * (count - 1) / max(self.frames_in_clip - 1, 1)) for place in range(self.frames_in_clip))
        return count, [frames[place] for place in places]

    def _logits(self, frames: list[Frame], options: dict[str, Any], check: Callable[[], None] | None) -> Array:
        request = parse_image_options({"input_color_format": "rgb", **options})
        with self._runner.prepare(frames, request) as prepared:
            (spec,) = self._session.inputs
            if check is not None:
                check()
            return next(iter(self._session.run({spec.name: prepared.batches[0]}).values()))


TASK = Task(name="action-recognition", model=ActionRecognitionModel, graph=ActionGraph, bind=ActionOfClip)
