"""Base classes of models: life cycle, class names, drawing, and the pre-process, forward, post-process stages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, cast

from inference_models.errors import AssumptionError, missing_attribute
from inference_models.tasks import painters

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from types import TracebackType

    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Self, TypeVar

    from inference_models.entities import ColorFormat, ResolvedModelMetadata
    from inference_models.preprocess.pixels import InputRange
else:
    import typing

    def TypeVar(name, **_):  # noqa: N802 - stands for that of typing_extensions, which costs a start some milliseconds
        """A type variable without its default, which only type checkers need."""
        return typing.TypeVar(name)


Images: TypeAlias = Any
"""One image, a list of images, or a batch: whatever pre-processing takes."""

PreprocessedInputs = TypeVar("PreprocessedInputs", default=Any)
PreprocessingMetadata = TypeVar("PreprocessingMetadata", default=Any)
RawPrediction = TypeVar("RawPrediction", default=Any)
Answer = TypeVar("Answer", default=Any)


class ModelLifecycle(ABC):  # noqa: B024 - the abstract methods are those of the subclasses
    """A loaded model: `with AutoModel.from_pretrained(...) as model:` closes it at the end of the block."""

    resolved_model: ResolvedModelMetadata | None = None
    """Which package runs, on which backend and device; set when the model was loaded through `AutoModel`."""

    if not TYPE_CHECKING:

        def __class_getitem__(cls, types):
            """The class of `types`, on every Python; those that are left out may be anything."""
            types = types if isinstance(types, tuple) else (types,)
            return super().__class_getitem__((*types, *[Any] * (len(cls.__parameters__) - len(types))))

        def __getattr__(self, name):
            raise missing_attribute(self, name)

    def close(self) -> None:  # noqa: B027 - a model that holds nothing has nothing to give back
        """Give back what the model holds (sessions, device memory). May be called more than once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Drawable:
    """A model whose predictions can be drawn."""

    def annotate(
        self,
        image: Any,
        predictions: Any,
        *,
        input_color_format: ColorFormat | None = None,
        input_range: InputRange | None = None,
    ) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8 BGR copy of `image` with the predictions of this one image drawn on it.

        Args:
            image: anything the model takes as one image.
            predictions: one element of what the model answers, or the whole answer to one image.
            input_color_format: order of the channels of `image` where it is not the usual one.
            input_range: values of a float `image`, as in a call.

        Raises:
            ModelInputError: the image cannot be read.
            InvalidParameterError: the predictions are of several images, or of a kind that cannot be drawn.
        """
        from inference_models.drawing import annotate  # noqa: PLC0415 - loaded when something is drawn

        return annotate(
            image,
            predictions,
            painters(),
            class_names=getattr(self, "class_names", None),
            input_color_format=input_color_format,
            input_range=input_range,
            skeletons=getattr(self, "skeletons", None),
        )


class KnowsClasses(Drawable, ABC):
    """A model whose predictions can be drawn, with classes that have names."""

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """Name of class 0, 1, ..."""


class LoadedModel(ModelLifecycle):
    """A model that is made from a package."""

    load_as: ClassVar[Callable[..., Any] | None] = None
    """What loads models, `load_as` of `inference_models.auto`: that module lies above this one and puts it here."""

    @classmethod
    def from_pretrained(cls, model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Self:
        """The model behind an id, a path or a `.lock` file, which must be of this task.

        The classes of packages that bring their own code have their own: it makes the model of a package folder.

        Args:
            model_name_or_path: As for `AutoModel.from_pretrained`, or a lock file, as for `AutoModel.from_lock`.
            **kwargs: Their options.

        Raises:
            InvalidParameterError: it is a model of another task; the text names both.
        """
        if LoadedModel.load_as is None:
            raise AssumptionError("models cannot be loaded yet.", needs="inference_models.auto", found="not imported")
        return cast("Self", LoadedModel.load_as(cls, model_name_or_path, **kwargs))


class StagedModel(LoadedModel, Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction, Answer]):
    """A model in three stages, of which the last needs to know what the first one did."""

    def infer(self, images: Images, **kwargs: Any) -> Answer:
        """The answer for `images`; every option is passed to all three stages."""
        inputs, metadata = self.pre_process(images, **kwargs)
        results = self.forward(inputs, **kwargs)
        return self.post_process(results, metadata, **kwargs)

    def __call__(self, images: Images, **kwargs: Any) -> Answer:
        """The same as `infer`."""
        return self.infer(images, **kwargs)

    @abstractmethod
    def pre_process(self, images: Images, **kwargs: Any) -> tuple[PreprocessedInputs, PreprocessingMetadata]:
        """What the network takes, and what it takes to undo the way there."""

    @abstractmethod
    def forward(self, pre_processed_images: PreprocessedInputs, **kwargs: Any) -> RawPrediction:
        """The raw outputs of the network."""

    @abstractmethod
    def post_process(
        self, model_results: RawPrediction, pre_processing_meta: PreprocessingMetadata, **kwargs: Any
    ) -> Answer:
        """The answer, in terms of the original images."""


class PlainStagedModel(LoadedModel, Generic[PreprocessedInputs, RawPrediction, Answer]):
    """A model in three stages whose answer does not depend on where in the image it looked."""

    def infer(self, images: Images, **kwargs: Any) -> Answer:
        """The answer for `images`; every option is passed to all three stages."""
        inputs = self.pre_process(images, **kwargs)
        results = self.forward(inputs, **kwargs)
        return self.post_process(results, **kwargs)

    def __call__(self, images: Images, **kwargs: Any) -> Answer:
        """The same as `infer`."""
        return self.infer(images, **kwargs)

    @abstractmethod
    def pre_process(self, images: Images, **kwargs: Any) -> PreprocessedInputs:
        """What the network takes."""

    @abstractmethod
    def forward(self, pre_processed_images: PreprocessedInputs, **kwargs: Any) -> RawPrediction:
        """The raw outputs of the network."""

    @abstractmethod
    def post_process(self, model_results: RawPrediction, **kwargs: Any) -> Answer:
        """The answer."""
