"""Reading the text of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from inference_models.families import TextGraph
from inference_models.tasks import Task
from inference_models.tasks.graph_options import ImageOptions, parse_image_options
from inference_models.tasks.graph_runner import GraphModel, LineRunner, NetworkInputs, OpenedPackage, RawOutputs
from inference_models.tasks.stages import PlainStagedModel, PreprocessedInputs, RawPrediction

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray


class TextOnlyOCRModel(
    PlainStagedModel[PreprocessedInputs, RawPrediction, list[str]], Generic[PreprocessedInputs, RawPrediction]
):
    """Answers with one text per image, in the order of the images."""


class GraphTextReader(GraphModel, TextOnlyOCRModel[NetworkInputs, "list[NumpyArray]"]):
    """A reader made of graphs, on any backend. Safe to call from many threads.

    Every method takes the options of `ImageOptions` by name.
    """

    OPTIONS = ImageOptions

    def __init__(self, package: OpenedPackage, family: TextGraph) -> None:
        super().__init__(package)
        if family.least_width is not None:
            self._runner = LineRunner(package, family.least_width)
        self._decoder = family.decoder(package.sessions, package.files)

    def infer(self, images: object, **kwargs: Any) -> list[str]:
        """One text per image, in the order of the images.

        Raises:
            ModelInputError: an image cannot be used; the text names it.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed.
        """
        self._check(kwargs)
        return self._runner.answers(images, parse_image_options(kwargs), lambda raw, _: self._texts(self._tokens(raw)))

    def pre_process(self, images: object, **kwargs: Any) -> NetworkInputs:
        """What the first graph takes for all `images` at once."""
        self._check(kwargs)
        return self._runner.prepare(images, parse_image_options(kwargs)).inputs

    def forward(self, pre_processed_images: NetworkInputs, **kwargs: Any) -> list[NumpyArray]:
        """(B, L) tokens, one entry per network size; of lines of text, one entry per line.

        Raises:
            ModelRuntimeError: the runtime failed.
        """
        self._check(kwargs)
        return self._tokens(self._runner.run(pre_processed_images))

    def post_process(self, model_results: list[NumpyArray], **kwargs: Any) -> list[str]:
        """One text per image."""
        self._check(kwargs)
        return self._texts(model_results)

    def _tokens(self, raw: list[RawOutputs]) -> list[NumpyArray]:
        return [self._decoder.tokens(part.outputs) for part in raw]

    def _texts(self, tokens: list[NumpyArray]) -> list[str]:
        return [text for part in tokens for text in self._decoder.texts(part)]


TASK = Task(name="text-only-ocr", model=TextOnlyOCRModel, graph=TextGraph, bind=GraphTextReader, has_classes=False)
