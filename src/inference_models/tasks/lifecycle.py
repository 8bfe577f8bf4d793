"""What every model has, whatever it predicts: an identity, an end, and options for `with`."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, Any

from inference_models.tasks import painters

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Self

    from inference_models.entities import ColorFormat, ResolvedModelMetadata
    from inference_models.preprocess.pixels import InputRange


class ModelLifecycle(ABC):  # noqa: B024 - the abstract methods are those of the subclasses
    """A loaded model: `with AutoModel.from_pretrained(...) as model:` closes it at the end of the block."""

    resolved_model: ResolvedModelMetadata | None = None
    """Which package runs, on which backend and device; set when the model was loaded through `AutoModel`."""

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
