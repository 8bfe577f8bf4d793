"""Images to raw outputs: what every model that is one graph shares, whatever it predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias, TypeVar

from msgspec import field

from inference_models.arrays import as_kind, device_of, namespace
from inference_models.backends.session import BatchLimits, run_in_batches, special_kind
from inference_models.config import MAX_BATCH
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from inference_models.package.class_names import NAMES_FIX
from inference_models.record import Record, replace
from inference_models.tasks.graph_options import check_option_names, parse_image_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from inference_models.arrays import Array, ArrayKind
    from inference_models.backends.session import Session
    from inference_models.decoders.types import Frame, Outputs, Shapes
    from inference_models.entities import RecommendedParameters
    from inference_models.package.inference_config import Calibration, TopDown
    from inference_models.package.key_point_names import KeyPointNames
    from inference_models.package.preprocess_spec import PreprocessSpec
    from inference_models.predictions.container import Prediction
    from inference_models.preprocess.compile import PreparedImages
    from inference_models.preprocess.geometry import ImageTransform
    from inference_models.preprocess.inputs import ImageList
    from inference_models.preprocess.pixels import SourceImage
    from inference_models.tasks.graph_options import ImageRequest

    Kind = TypeVar("Kind", bound=Prediction)

NetworkInputs: TypeAlias = "Array | list[Array]"
"""(B, 3, H, W) as the graph takes it, or a list of (1, 3, h, w) where the images lead to different sizes."""


class RawOutputs(Record, frozen=True):
    """What the graph answered to images of one network size."""

    frame: Frame
    outputs: Outputs

    def images(self) -> list[RawOutputs]:
        """The same for each image alone, batch axis included; tables without one are those of every image."""
        count = int(self.outputs[0].shape[0])

        def of_image(row: int) -> list[Array]:
            return [output[row : row + 1] if output.shape[0] == count else output for output in self.outputs]

        return [RawOutputs(self.frame, of_image(row)) for row in range(count)]


class OpenedPackage(Record, frozen=True, kw_only=True):
    """A loaded package: everything a task needs to answer."""

    sessions: Mapping[str, Session]
    """Opened graphs by role; the first takes the images."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """What its family needs besides graphs, by role."""
    preprocess: PreprocessSpec
    class_names: tuple[str, ...] = ()
    """Empty where the task has no classes."""
    removed_class_names: tuple[str, ...] = ()
    """Those of them that the training platform took away; for architectures that keep their columns."""
    key_points: KeyPointNames | None = None
    """None: the package does not name any."""
    fused: bool = False
    """Whether the graph already does what the decoder would: suppression, or the activation."""
    top_down: TopDown | None = None
    """How crops are cut; only for heads that look at crops."""
    calibration: Calibration | None = None
    """What scores mean; only of detectors of anomalies."""
    models: Mapping[str, Any] = field(default_factory=dict)
    """What it is made of, instead of graphs, by name."""
    normalized_boxes: bool = False
    """Whether boxes in the outputs are parts of the input size instead of pixels."""
    max_dynamic_batch: int | None = None
    recommended: RecommendedParameters | None = None
    arrays: ArrayKind | None = None
    """Kind of array the predictions hold; None: what the session gives."""
    further_outputs: int = 0
    """Of the outputs of the session, how many of the last are not those of the graph: features, then logits if any."""
    label: str = "the model"
    """The model in error texts."""

    @property
    def session(self) -> Session:
        """The graph that takes the images."""
        return next(iter(self.sessions.values()))

    def close(self) -> None:
        """Give the memory of all graphs back."""
        for session in self.sessions.values():
            session.close()


class GraphRunner:
    """Pre-processing and session of one graph. Keeps no state between calls, so threads may share it."""

    def __init__(self, graph: OpenedPackage) -> None:
        from inference_models.preprocess.compile import compile_spec  # noqa: PLC0415 - brings NumPy

        self.session = graph.session
        self._layout = graph.preprocess.layout
        self._limits = BatchLimits.of(graph.session, largest_dynamic=graph.max_dynamic_batch)
        self._preprocess = compile_spec(graph.preprocess, dtype=graph.session.inputs[0].dtype)

    def prepared(self, images: object, request: ImageRequest) -> Iterator[PreparedImages]:
        """Network inputs for `images`, a bounded number at a time.

        Raises:
            ModelInputError: an image cannot be used; the text says which one.
        """
        listed = self._listed(images, request)
        size = self._limits.largest or MAX_BATCH
        for start in range(0, len(listed), size):
            yield self._prepare(listed, request, start, start + size)

    def prepare(self, images: object, request: ImageRequest) -> PreparedImages:
        """Network inputs for all `images` at once.

        Raises:
            ModelInputError: an image cannot be used; the text says which one.
        """
        listed = self._listed(images, request)
        return self._prepare(listed, request, 0, len(listed))

    def run(self, inputs: NetworkInputs) -> list[RawOutputs]:
        """Raw outputs, one entry per network size."""
        batches = self._batches(inputs)
        return [RawOutputs(self._frame(batch), run_in_batches(self.session, batch, self._limits)) for batch in batches]

    @staticmethod
    def _batches(inputs: NetworkInputs) -> list[Array]:
        if isinstance(inputs, tuple):
            raise InvalidParameterError(
                "forward takes network inputs alone.",
                needs="the first of the two values that pre_process returns",
                found="both of them",
                fix="inputs, meta = model.pre_process(images); model.forward(inputs)",
            )
        batches = inputs if isinstance(inputs, list) else [inputs]
        for batch in batches:
            found = special_kind(batch) or (None if len(batch.shape) == 4 else f"shape {tuple(batch.shape)}")
            if found is not None:
                raise InvalidParameterError(
                    "forward takes what pre_process returns.", needs="(B, C, H, W)", found=found
                )
        return batches

    def answers(
        self,
        images: object,
        request: ImageRequest,
        read: Callable[[list[RawOutputs], list[ImageTransform]], list[Array]],
    ) -> list[Array]:
        """One answer per image: `read` turns the raw outputs of a part of the images into theirs."""
        results: list[Array] = []
        for prepared in self.prepared(images, request):
            with prepared:
                results += read(self.run(prepared.batches), prepared.transforms)
        return results

    def batch_of(self, crops: Sequence[SourceImage]) -> Array:
        """(B, C, h, w) of pictures that have the network size already."""
        return self._preprocess(crops).batches[0]

    def run_crops(self, pixels: Array, most: int, *parts: Array) -> dict[str, Array]:
        """Outputs by name, of a graph that takes what is in `parts` of each picture besides its pixels."""
        limits = self._limits if self._limits.largest else replace(self._limits, largest=most)
        outputs = run_in_batches(self.session, pixels, limits, *parts)
        return {spec.name: output for spec, output in zip(self.session.outputs, outputs, strict=True)}

    def _listed(self, images: object, request: ImageRequest) -> ImageList:
        from inference_models.preprocess.inputs import list_images  # noqa: PLC0415

        return list_images(images, input_color_format=request.input_color_format, input_range=request.input_range)

    def _prepare(self, listed: ImageList, request: ImageRequest, start: int, stop: int) -> PreparedImages:
        sources = listed.load(start, stop)
        return self._preprocess(sources, image_size=request.image_size, overrides=request.overrides)

    def _frame(self, batch: Array) -> Frame:
        _, *sides = batch.shape
        height, width = sides[1:] if self._layout == "nchw" else sides[:2]
        return int(height), int(width)


class LineRunner(GraphRunner):
    """The same for lines of text, of one height and any width: those of like width go to the graph together."""

    LINES = 8
    """At most at once."""

    def __init__(self, graph: OpenedPackage, least_width: int) -> None:
        super().__init__(graph)
        self._least_width = graph.session.inputs[0].shape[3] or least_width

    def run(self, inputs: NetworkInputs) -> list[RawOutputs]:
        """Raw outputs, one entry per line, in their order."""
        lines = [batch[row : row + 1] for batch in self._batches(inputs) for row in range(batch.shape[0])]
        order = sorted(range(len(lines)), key=lambda number: int(lines[number].shape[3]))
        found: dict[int, RawOutputs] = {}
        for start in range(0, len(order), self.LINES):
            numbers = order[start : start + self.LINES]
            (answer,) = super().run(self._joined([lines[number] for number in numbers]))
            found.update(zip(numbers, answer.images(), strict=True))
        return [found[number] for number in range(len(lines))]

    def run_together(self, crops: Sequence[SourceImage]) -> tuple[RawOutputs, list[int]]:
        """Raw outputs of `LINES` pictures of lines at most, and the width of each in the network input."""
        lines = [batch[row : row + 1] for batch in self._preprocess(crops).batches for row in range(batch.shape[0])]
        (answer,) = super().run(self._joined(lines))
        return answer, [int(line.shape[3]) for line in lines]

    def _joined(self, lines: list[Array]) -> Array:
        widest, like = max(self._least_width, *(line.shape[3] for line in lines)), lines[0]
        xp, shape = namespace(like), (len(lines), *like.shape[1:3], widest)
        joined = xp.zeros(shape, dtype=like.dtype, device=device_of(like))
        for row, line in enumerate(lines):
            joined[row, :, :, : line.shape[3]] = line[0]
        return joined


class GraphModel:
    """What models made of the graphs of a package have, whatever they predict. Mixed into the base of their task."""

    OPTIONS: ClassVar[type]
    """The `TypedDict` whose fields every method takes by name."""

    def __init__(self, package: OpenedPackage) -> None:
        self._runner = GraphRunner(package)
        self._package = package
        self._label = package.label

    def __repr__(self) -> str:
        """What it is and where it runs."""
        resolved = getattr(self, "resolved_model", None)
        runs = f": package {resolved.model_package_id}, {resolved.backend} on {resolved.device}" if resolved else ""
        return f"<{self._label}{runs}>"

    def __reduce__(self) -> NoReturn:
        """Refused: what a runtime has opened belongs to its process."""
        raise InvalidParameterError(
            f"{self._label} cannot be sent to another process, or copied.",
            needs="what it was loaded from: an id or a path",
            found="a loaded model",
            fix="load it in each worker: AutoModel.from_pretrained(...)",
        )

    @property
    def opened(self) -> OpenedPackage:
        """What it was made of: its graphs, and how images are prepared for them."""
        return self._package

    def close(self) -> None:
        """Give the memory of the sessions back; calls are refused from now on."""
        self._package.close()

    def _check(self, options: Mapping[str, Any]) -> None:
        check_option_names(options, self.OPTIONS, model=self._label)


class OneGraph(GraphModel):
    """A model whose whole work is one graph, which knows the classes it was trained on."""

    def __init__(self, package: OpenedPackage, count_classes: Callable[[Shapes], int | None]) -> None:
        check_class_count(count_classes, package.session, package.class_names)
        super().__init__(package)
        self._names = package.class_names
        self._arrays = package.arrays

    @property
    def class_names(self) -> list[str]:
        """Name of class 0, 1, ..."""
        return list(self._names)

    @property
    def output_names(self) -> list[str]:
        """Names of the arrays that `forward` gives, in their order."""
        return [spec.name for spec in self._runner.session.outputs]

    def forward(self, pre_processed_images: NetworkInputs, **kwargs: Any) -> list[RawOutputs]:
        """The arrays the graph answers, one entry per network size.

        Raises:
            ModelRuntimeError: the runtime failed.
        """
        self._check(kwargs)
        return self._runner.run(pre_processed_images)


class PerImage(OneGraph):
    """One graph whose answer has one entry per image, each in terms of its image."""

    def infer(self, images: object, **kwargs: Any) -> Any:
        """One prediction per image, in the order of the images.

        Args:
            images: one image or a list: (H, W, 3) uint8 BGR arrays, (3, H, W) RGB tensors, PIL images, paths, bytes.
            **kwargs: those of `OPTIONS`.

        Raises:
            ModelInputError: an image cannot be used; the text names it.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed.
        """
        return self._runner.answers(images, parse_image_options(kwargs), self._reader(kwargs))

    def pre_process(self, images: object, **kwargs: Any) -> tuple[NetworkInputs, list[ImageTransform]]:
        """What the graph takes for all `images` at once, and the way back to each of them."""
        self._check(kwargs)
        prepared = self._runner.prepare(images, parse_image_options(kwargs))
        return prepared.inputs, prepared.transforms

    def post_process(
        self, model_results: list[RawOutputs], pre_processing_meta: list[ImageTransform], **kwargs: Any
    ) -> Any:
        """One prediction per image, in pixels of the original images."""
        return self._reader(kwargs)(model_results, pre_processing_meta)

    def _reader(self, options: dict[str, Any]) -> Callable[[list[RawOutputs], list[ImageTransform]], Any]:
        """What makes the answers of raw outputs, for checked options of a call."""
        raise NotImplementedError

    def _images(self, raw: list[RawOutputs], meta: list[ImageTransform]) -> list[tuple[RawOutputs, ImageTransform]]:
        images = [image for part in raw for image in part.images()]
        if len(images) != len(meta):
            raise InvalidParameterError(
                "raw outputs and metadata are not of the same images.",
                needs=f"metadata of {len(images)} images",
                found=f"metadata of {len(meta)}",
            )
        return list(zip(images, meta, strict=True))

    def _as_asked(self, prediction: Kind) -> Kind:
        """`prediction` with the kind of arrays that the model was loaded for."""
        if self._arrays is None:
            return prediction
        return prediction.torch() if self._arrays == "torch" else prediction.numpy()


class RowPerImage(OneGraph):
    """One graph that answers with a row of numbers per image, wherever in the image it looked."""

    def infer(self, images: object, **kwargs: Any) -> Any:
        """The answer to all images, in their order.

        Args:
            images: one image or a list, as `PerImage.infer` takes them.
            **kwargs: those of `OPTIONS`.

        Raises:
            ModelInputError: an image cannot be used; the text names it.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed.
        """
        read = self._reader(kwargs)
        return read(self._rows_of_images(images, kwargs, self._rows))

    def pre_process(self, images: object, **kwargs: Any) -> NetworkInputs:
        """What the graph takes for all `images` at once."""
        self._check(kwargs)
        return self._runner.prepare(images, parse_image_options(kwargs)).inputs

    def post_process(self, model_results: list[RawOutputs], **kwargs: Any) -> Any:
        """The answer to all images."""
        return self._reader(kwargs)(self._joined([self._rows(part) for part in model_results]))

    def _rows(self, part: RawOutputs) -> Array:
        """(B, n): one row per image."""
        raise NotImplementedError

    def _reader(self, options: dict[str, Any]) -> Callable[[Array], Any]:
        """What makes the answer of all rows, for checked options of a call."""
        raise NotImplementedError

    def _rows_of_images(self, images: object, options: dict[str, Any], rows: Callable[[RawOutputs], Array]) -> Array:
        self._check(options)
        found = self._runner.answers(
            images, parse_image_options(options), lambda raw, _: [row for part in raw for row in rows(part)]
        )
        return self._joined([namespace(found[0]).stack(found)])

    def _joined(self, parts: list[Array]) -> Array:
        rows = parts[0] if len(parts) == 1 else namespace(parts[0]).concat(parts)
        return rows if self._arrays is None else as_kind(rows, self._arrays)


def check_class_count(count: Callable[[Shapes], int | None], session: Session, class_names: Sequence[str]) -> None:
    """Raise when the graph has another number of classes than there are names.

    Raises:
        CorruptedModelPackageError: with both numbers.
    """
    columns = count([spec.shape for spec in session.outputs])
    if columns is not None and columns != len(class_names):
        raise unlike_class_count(columns, session, class_names)


def unlike_class_count(columns: int, session: Session, class_names: Sequence[str]) -> CorruptedModelPackageError:
    """The error for a graph that has another number of classes than there are names, with both numbers."""
    given = "is 1 name" if len(class_names) == 1 else f"are {len(class_names)} names"
    return CorruptedModelPackageError(
        f"there {given} of classes, but output {session.outputs[0].name!r} has {columns}.",
        needs="1 name" if columns == 1 else f"{columns} names, in the order of training",
        found=f"{len(class_names)}: {_shortened(class_names)}",
        fix=NAMES_FIX,
    )


def _shortened(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown}, ..." if len(names) > 3 else shown or "none"
