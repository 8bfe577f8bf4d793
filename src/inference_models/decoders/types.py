"""Types of the inputs and results of decoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from inference_models.arrays import Array
from inference_models.record import Record

if TYPE_CHECKING:
    from inference_models.decoders.masks import MaskMaps

Outputs: TypeAlias = Sequence[Array]
"""Output arrays in the order of the graph, batch first."""
Frame: TypeAlias = tuple[int, int]
"""(height, width) of the network input."""
Shapes: TypeAlias = Sequence[tuple[int | None, ...]]
"""Output shapes in the order of the graph; None where the graph leaves it open."""


class BoxLimits(Record, frozen=True):
    """Thresholds and limits of one call, for a box decoder."""

    confidence: float | Array
    """Least score: one number, or (C,) one per class. Strictly greater passes un-fused graphs, greater or equal fused ones."""  # noqa: E501
    iou: float
    """Boxes of a class that overlap a better one by more than this are dropped."""
    max_detections: int
    class_agnostic: bool = False
    """Boxes of other classes suppress too."""
    shows: Callable[[Array], Array] | None = None
    """Of (k, 4) x1 y1 x2 y2 as the decoder gives them, (k,) bool: which show something of the image; None: all do."""


class Boxes(Record, frozen=True):
    """Boxes of one image, best score first."""

    xyxy: Array
    """(n, 4) float32, x1 y1 x2 y2 in network pixels, not clamped."""
    confidence: Array
    """(n,) float32."""
    class_id: Array
    """(n,) int32."""
    anchor: Array
    """(n,) int64: row of the graph's output each box came from, for outputs that go with it."""
    polygons: Array | None = None
    """(n, 4, 2) float32: corners of what the boxes are around, clockwise from the upper left one; None: the same."""


BoxDecode: TypeAlias = Callable[[Outputs, Frame, BoxLimits], list[Boxes]]
"""One `Boxes` per image of the batch."""


class BoxDecoder(Record, frozen=True):
    """A layout of box outputs: how to read it, and how many classes a graph of given shapes has."""

    decode: BoxDecode
    count_classes: Callable[[Shapes], int | None]
    """Number of classes, or None when the shapes do not say."""
    named: Callable[[Sequence[str]], BoxDecoder] | None = None
    """The decoder for outputs of these names, where their order may differ."""
    check: Callable[[Shapes, Frame | None], None] | None = None
    """Raises `CorruptedModelPackageError` for outputs that are not of this layout, or of another input size; None: the
    input may have any size, and the classes say the rest."""


class OrientedBoxes(Record, frozen=True):
    """Rotated boxes of one image, best score first."""

    xywhr: Array
    """(n, 5) float32: centre, width, height in network pixels, angle in radians, clockwise."""
    confidence: Array
    """(n,) float32."""
    class_id: Array
    """(n,) int32."""


class OrientedDecoder(Record, frozen=True):
    """A layout of rotated boxes: how to read it, and how many classes a graph of given shapes has."""

    decode: Callable[[Outputs, Frame, BoxLimits, bool], list[OrientedBoxes]]
    """One `OrientedBoxes` per image; the last argument says whether boxes are parts of the input size."""
    count_classes: Callable[[Shapes], int | None]


class InstanceDecoder(BoxDecoder, frozen=True, kw_only=True):
    """A layout of boxes with a mask each."""

    maps: Callable[[Outputs, Boxes], MaskMaps]
    """The masks of the boxes that were found in one image, from the outputs of that image, with a batch of 1."""


class KeyPointHead(Record, frozen=True):
    """How many classes and key points a model has, and in which unit its raw head gives coordinates."""

    counts: tuple[int, ...]
    """Key points of class 0, 1, ..."""
    normalized: bool = False
    """Whether coordinates are parts of the input size instead of pixels."""
    frame: Frame | None = None
    """The only size of the network input; None: any."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.counts)

    @property
    def points(self) -> int:
        """Slots of one object: key points of the class that has most."""
        return max(self.counts, default=0)


class PointSets(Record, frozen=True):
    """The key points of the objects of one image, best object first."""

    boxes: Boxes
    """Box, class and score of the objects; where the graph gives no boxes, those around the points."""
    xy: Array
    """(n, K, 2) float32, x y in network pixels, not clamped."""
    confidence: Array
    """(n, K) float32 in 0..1."""
    covariance: Array | None = None
    """(n, K, 2, 2) float32 in square network pixels."""
    metadata: list[dict[str, Any]] | None = None
    """Facts about each object."""

    def only(self, kept: Array) -> PointSets:
        """Those of the objects that (n,) bool `kept` marks."""
        boxes, facts = self.boxes, self.metadata
        rows = Boxes(boxes.xyxy[kept], boxes.confidence[kept], boxes.class_id[kept], boxes.anchor[kept])
        return PointSets(
            rows,
            self.xy[kept],
            self.confidence[kept],
            None if self.covariance is None else self.covariance[kept],
            None if facts is None else [fact for fact, stays in zip(facts, kept, strict=True) if stays],
        )


KeyPointDecode: TypeAlias = Callable[[Outputs, Frame, BoxLimits, KeyPointHead], list[PointSets]]
"""One `PointSets` per image of the batch."""


class KeyPointDecoder(Record, frozen=True):
    """A layout of key points: how to read it, and whether a graph of given shapes has it."""

    decode: KeyPointDecode
    check: Callable[[Shapes, KeyPointHead], None]
    """Raises `CorruptedModelPackageError`, with both values, for a graph that has other classes or key points."""
    gives_boxes: bool = True
    named: Callable[[Sequence[str]], KeyPointDecoder] | None = None
    """The decoder for outputs of these names, where their order may differ."""


class ClassDecoder(Record, frozen=True):
    """A layout of class scores."""

    decode: Callable[[Outputs], Array]
    """(B, C) float32 scores."""
    count_classes: Callable[[Shapes], int | None]
