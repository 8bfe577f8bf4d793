"""Reading a page: the base class of models that say what a page says and where, and the program made of graphs.

1. A detector finds the lines, turned as they are.
2. Each is cut out and straightened; one that is much higher than wide is read from top to bottom.
3. A reader says what they say, several of like width at once, and how sure it is of each letter.
4. A line it is not sure of may stand on its head: it is read the other way round too, where the graph for that says so
   or there is none, and the better of both counts.
5. The lines are put in the order of reading.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.decoders.classes import FUSED
from inference_models.decoders.text_lines import TextLine, reading_order
from inference_models.errors import InvalidParameterError
from inference_models.families import PageGraph
from inference_models.package.graph_facts import InputHints
from inference_models.predictions.detections import Detections
from inference_models.preprocess.crops import sides_of, straighten
from inference_models.preprocess.inputs import list_images
from inference_models.preprocess.pixels import SourceImage
from inference_models.record import replace
from inference_models.tasks import Task
from inference_models.tasks.graph_input import fit_spec
from inference_models.tasks.graph_options import ConfidenceRule, ReadingOptions
from inference_models.tasks.graph_runner import GraphModel, LineRunner, OpenedPackage, check_class_count
from inference_models.tasks.object_detection import GraphDetector
from inference_models.tasks.stages import (
    Drawable,
    PreprocessedInputs,
    PreprocessingMetadata,
    RawPrediction,
    StagedModel,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inference_models.arrays import ArrayKind, NumpyArray
    from inference_models.decoders.text_lines import Letters
    from inference_models.families import Graph
    from inference_models.preprocess.inputs import ImageList

Lines: TypeAlias = list[list[TextLine]]
"""Of each image."""
Pages: TypeAlias = tuple[list[str], list[Detections]]
SURE = 0.9
"""Mean score of the letters of a line that does not stand on its head."""
HIGH = 1.5
"""A region so many times higher than wide is a line that runs from top to bottom."""
_OF_IMAGES = ("input_color_format", "input_range")
_OF_THE_DETECTOR = ("image_size", "pre_processing_overrides")


class StructuredOCRModel(
    Drawable,
    StagedModel[PreprocessedInputs, PreprocessingMetadata, RawPrediction, tuple[list[str], list[Detections]]],
    Generic[PreprocessedInputs, PreprocessingMetadata, RawPrediction],
):
    """Answers with one text per image, and one `Detections` per image with the `text` of each box in its metadata."""

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """Name of the kinds of boxes, for example block, line and word."""


class GraphPageReader(GraphModel, StructuredOCRModel[list[SourceImage], list[tuple[int, int]], Lines]):
    """A reader of pages made of graphs, on any backend. Safe to call from many threads.

    Every method takes the options of `ReadingOptions` by name. The text of an image has a row for each row of the
    page, and a space between lines of one row. Boxes are those of lines, in the order of reading; the metadata of each
    holds its `text`, its `polygon`, clockwise from where the text begins, and its `words`: `text`, `polygon` and
    `confidence` of each.
    """

    OPTIONS: ClassVar[type] = ReadingOptions

    def __init__(self, package: OpenedPackage, family: PageGraph) -> None:
        super().__init__(package)
        detection = replace(
            package, sessions={"graph": package.sessions["detection"]}, class_names=family.detector.class_names
        )
        self._detector = GraphDetector(replace(detection, arrays="numpy"), family.detector)
        files = {**package.files, "graph": package.files["recognition"]}
        self._decoder: Any = family.reader.decoder({"graph": package.sessions["recognition"]}, files)
        self._reader = _lines(package, "recognition", family.reader, family.reader.least_width or 0)
        self._orientation: LineRunner | None = None
        if "orientation" in package.sessions:
            check_class_count(FUSED.count_classes, package.sessions["orientation"], ("0", "180"))
            width = (family.orientation.size or (0, 0))[1]
            asked = replace(family.reader, preprocess=family.orientation)
            self._orientation = _lines(package, "orientation", asked, width)
        self._confidence = ConfidenceRule(family.confidence, ("line",), package.recommended)

    @property
    def class_names(self) -> list[str]:
        """The one kind of box: a line."""
        return ["line"]

    def infer(self, images: object, **kwargs: Any) -> Pages:
        """The text of each image, and one `Detections` per image with a row per line.

        Args:
            images: one image or a list, as every model takes them.
            **kwargs: `ReadingOptions`.

        Raises:
            ModelInputError: an image cannot be used; the text names it.
            InvalidParameterError: an option is unknown or has a value that makes no sense.
            ModelRuntimeError: the runtime failed.
        """
        listed, least = self._listed(images, kwargs), self._least(kwargs)
        lines = [self.forward(listed.load(number, number + 1), **kwargs)[0] for number in range(len(listed))]
        return self._pages(lines, least)

    def pre_process(self, images: object, **kwargs: Any) -> tuple[list[SourceImage], list[tuple[int, int]]]:
        """The images as they are, and the size (height, width) of each."""
        pictures = self._listed(images, kwargs).load()
        return pictures, [picture.size for picture in pictures]

    def forward(self, pre_processed_images: list[SourceImage], **kwargs: Any) -> Lines:
        """The lines of each image as they were found, read.

        Raises:
            ModelRuntimeError: the runtime failed.
        """
        self._check(kwargs)
        of_detector = {name: kwargs[name] for name in _OF_THE_DETECTOR if name in kwargs}
        return [self._read(picture, of_detector) for picture in pre_processed_images]

    def post_process(self, model_results: Lines, pre_processing_meta: list[tuple[int, int]], **kwargs: Any) -> Pages:
        """The text of each image, and its lines in the order of reading."""
        self._check(kwargs)
        if len(model_results) != len(pre_processing_meta):
            raise InvalidParameterError(
                "lines and metadata are not of the same images.",
                needs=f"metadata of {len(model_results)} images",
                found=f"metadata of {len(pre_processing_meta)}",
            )
        return self._pages(model_results, self._least(kwargs))

    def _listed(self, images: object, options: dict[str, Any]) -> ImageList:
        self._check(options)
        return list_images(images, **{name: options[name] for name in _OF_IMAGES if name in options})

    def _least(self, options: dict[str, Any]) -> float:
        return float(self._confidence.resolve(options.get("confidence")))

    def _read(self, picture: SourceImage, of_detector: dict[str, Any]) -> list[TextLine]:
        (found,) = self._detector.infer(**picture.arguments(), **of_detector)
        regions = [_from_its_begin(np.asarray(facts["polygon"])) for facts in found.bboxes_metadata or ()]
        lines = list(map(TextLine, regions, self._letters(picture, regions)))
        doubted = [number for number, line in enumerate(lines) if line.letters.score < SURE]
        doubted = self._maybe_turned(picture, lines, doubted)
        turned = [np.roll(regions[number], 2, axis=0) for number in doubted]
        for number, line in zip(doubted, map(TextLine, turned, self._letters(picture, turned)), strict=True):
            if line.letters.score > lines[number].letters.score:
                lines[number] = line
        return lines

    def _letters(self, picture: SourceImage, regions: Sequence[NumpyArray]) -> list[Letters]:
        found: dict[int, Letters] = {}
        for numbers, crops in _alike(picture, regions):
            answer, widths = self._reader.run_together(crops)
            parts = [width / answer.frame[1] for width in widths]
            letters = self._decoder.letters(answer.outputs)
            found.update((n, said.within(part)) for n, said, part in zip(numbers, letters, parts, strict=True))
        return [found[number] for number in range(len(regions))]

    def _maybe_turned(self, picture: SourceImage, lines: Sequence[TextLine], numbers: list[int]) -> list[int]:
        """Those of the lines with these numbers that the graph of the orientation says stand on their heads."""
        if self._orientation is None:
            return numbers
        turned = []
        for places, crops in _alike(picture, [lines[number].corners for number in numbers]):
            answer, _ = self._orientation.run_together(crops)
            upright, upside_down = to_numpy(answer.outputs[0]).T
            turned += [numbers[place] for place, is_so in zip(places, upside_down > upright, strict=True) if is_so]
        return turned

    def _pages(self, pages: Lines, least: float) -> Pages:
        arrays = self._package.arrays
        answers = [_page([line for line in lines if line.letters.score >= least], arrays) for lines in pages]
        return [text for text, _ in answers], [found for _, found in answers]


def _lines(package: OpenedPackage, role: str, graph: Graph, least_width: int) -> LineRunner:
    session = package.sessions[role]
    preprocess = fit_spec(graph, session, None, InputHints())
    return LineRunner(replace(package, sessions={role: session}, preprocess=preprocess), least_width)


def _from_its_begin(region: NumpyArray) -> NumpyArray:
    """(4, 2) corners from that where the text begins, of a region whose text stands upright or leans to a side."""
    width, height = sides_of(region)
    return np.roll(region, -1, axis=0) if height >= HIGH * width else region


def _alike(picture: SourceImage, regions: Sequence[NumpyArray]) -> Iterator[tuple[list[int], list[SourceImage]]]:
    """Numbers and pictures of the regions, a few of like proportions at a time."""
    sides = [sides_of(region) for region in regions]
    order = sorted(range(len(regions)), key=lambda number: sides[number][0] / max(sides[number][1], 1))
    for start in range(0, len(order), LineRunner.LINES):
        numbers = order[start : start + LineRunner.LINES]
        yield numbers, [SourceImage(straighten(picture.pixels, regions[number]), picture.color) for number in numbers]


def _page(lines: Sequence[TextLine], arrays: ArrayKind | None) -> tuple[str, Detections]:
    """The text of one image and its lines, both in the order of reading."""
    rows = reading_order([line.corners for line in lines])
    text = "\n".join(" ".join(lines[number].letters.text for number in row) for row in rows)
    ordered = [lines[number] for row in rows for number in row]
    corners = np.array([line.corners for line in ordered], np.float32).reshape(-1, 4, 2)
    found = Detections(
        xyxy=np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1),
        class_id=np.zeros(len(ordered), np.int32),
        confidence=np.array([line.letters.score for line in ordered], np.float32),
        bboxes_metadata=[
            {"text": line.letters.text, "polygon": line.corners.tolist(), "words": line.words()} for line in ordered
        ],
        class_names=["line"],
    )
    return text, found.torch() if arrays == "torch" else found


TASK = Task(
    name="structured-ocr",
    model=StructuredOCRModel,
    predictions={Detections: "objects"},
    graph=PageGraph,
    bind=GraphPageReader,
    has_classes=False,
)
