"""One file per architecture: which decoder for which task, defaults, source."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from msgspec import field

from inference_models.config import DEFAULT_CONFIDENCE, DEFAULT_IOU_THRESHOLD, DEFAULT_MAX_DETECTIONS
from inference_models.errors import ModelImplementationNotFoundError, nearest_hint
from inference_models.machine.libraries import entry_points
from inference_models.package.preprocess_spec import ResizeMode
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from inference_models.arrays import Array, NumpyArray
    from inference_models.backends.session import ModuleBuilder, Session
    from inference_models.decoders.gaze import GazeLayout
    from inference_models.decoders.maps import MapResize
    from inference_models.decoders.segments import QueryMaps
    from inference_models.decoders.text_lines import Letters
    from inference_models.decoders.types import (
        BoxDecoder,
        ClassDecoder,
        InstanceDecoder,
        KeyPointDecoder,
        OrientedDecoder,
    )
    from inference_models.package.key_point_names import KeyPointNames
    from inference_models.package.preprocess_spec import PreprocessSpec
    from inference_models.package.text_tokens import TextTokens

ENTRY_POINT_GROUP = "inference_models.families"

ALIASES = {
    "dab-detr": "conditional-detr",
    "deformable-detr": "conditional-detr",
    "deimv2": "deim",
    "depth-anything": "depth-anything-v2",
    "eomt-dinov3": "eomt",
    "dfine": "d-fine",
    "dinov2-with-registers": "dinov2",
    "dinov3-convnext": "dinov2",
    "dinov3-vit": "dinov2",
    "lw-detr": "conditional-detr",
    "mobilenet-v2": "mobilenetv2",
    "pp-doclayout-v2": "rt-detr",
    "pp-doclayout-v3": "rt-detr",
    "rf-detr": "rfdetr",
    "rt-detr-v2": "rt-detr",
    "rtdetr": "rt-detr",
    "rtdetrv2": "rt-detr",
    "superglue": "lightglue",
    "table-transformer": "detr",
    "yolo11": "yolov11",
    "yolo12": "yolov12",
    "yolov26": "yolo26",
}
"""Other spellings of an architecture, and others with the same graphs, sorted; `_` for `-` is one more of each."""
_RFDETR = re.compile(r"rfdetr-(se[gm]-)?(nano|small|medium|base|large|x?xlarge|2xlarge|preview)")
"""Sizes of one architecture: what differs is inside the graph."""
_BUILT_IN = frozenset(info.name.replace("_", "-") for info in pkgutil.iter_modules(__path__))


class Graph(Record, frozen=True, kw_only=True):
    """The model graph of one architecture for one task; base class with the fields of every task."""

    preprocess: PreprocessSpec
    """For a bare file that says nothing about itself; a package's own configuration wins."""
    instead_of_fit_longer_edge: ResizeMode = ResizeMode.STRETCH
    """`fit-longer-edge` gives every image another network size, which these graphs do not take."""
    stretches: bool = False
    """Whether pictures are stretched to the network size, after what a package says of the size of its data set; the
    resize, which smooths as Pillow does, is that of the platform that writes such packages."""
    class_names: tuple[str, ...] = ()
    """Where neither package nor caller names the classes; empty: one of them must."""
    module: str | None = None
    """`package.module:function` that builds the PyTorch module for a package of weights; None: there is none."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Role to the pattern of the one file that has it, in lower case. A pattern without a suffix is that of a graph,
    `*encoder*` for example, whose suffix is that of the format of the package; the first graph takes the images. Empty:
    there is one graph, in the file of its format."""
    further_inputs: tuple[str, ...] = ()
    """Inputs besides that of the images."""
    models: tuple[str, ...] = ()
    """Names of the models it is made of, which its packages name as dependencies instead of having a graph."""
    optional_files: frozenset[str] = frozenset()
    """Roles that a package may leave out."""
    features: frozenset[str] = frozenset()
    """What a package may state of its variant, and nobody needs to know."""
    configure: Callable[[Any, Mapping[str, Path]], Any] | None = None
    """From this record and the files of a package, by role, to the record for this package; None: it is this one."""


class DepthGraph(Graph, frozen=True, kw_only=True):
    """The model graph of a depth estimator: (B, h, w) or (B, 1, h, w) over the input."""

    unit: Literal["metres", "relative depth", "relative inverse depth"]
    """Of the numbers, which are kept as they are; of relative inverse depth, larger ones are nearer."""
    resize: MapResize
    """How its authors bring the map to the size of the picture."""
    reciprocal: bool = False
    """Whether numbers are 1 / depth, for a picture as wide as its focal length; of another one, a second output (B,)
    says the angle of view in degrees (Depth Pro)."""
    instead_of_fit_longer_edge: ResizeMode = ResizeMode.LETTERBOX


class GazeGraph(Graph, frozen=True, kw_only=True):
    """The model graph of a gaze detector, which takes crops of faces."""

    layout: GazeLayout


class SemanticGraph(Graph, frozen=True, kw_only=True):
    """The model graph of a semantic segmenter: logits (B, C, h, w), or ready class ids (B, h, w), over the input."""

    confidence: float = 0.0
    """Pixels that are less sure than this are background."""
    activation: Literal["softmax", "sigmoid"] = "softmax"
    """What makes scores of logits: of all classes of a pixel together, or of each alone."""
    scores: bool = False
    """Whether the activation is in the graph."""
    queries: QueryMaps | None = None
    """How scores are made of the queries of a mask transformer; None: the graph gives maps."""
    matte: bool = False
    """Whether the score of the one class says how much of a pixel it is: kept where the pixel counts as background."""
    instead_of_fit_longer_edge: ResizeMode = ResizeMode.LETTERBOX


class ObjectGraph(Graph, frozen=True, kw_only=True):
    """The model graph of anything that finds objects, with what holds for all of them."""

    confidence: float = DEFAULT_CONFIDENCE
    iou: float = DEFAULT_IOU_THRESHOLD
    max_detections: int = DEFAULT_MAX_DETECTIONS
    normalized_in: tuple[str, ...] = ()
    """Formats of packages in which the exporter of these graphs writes boxes as parts of the input size."""
    instead_of_fit_longer_edge: ResizeMode = ResizeMode.LETTERBOX
    extra_columns: bool = False
    """Whether the classes of its outputs may have columns that are no class of the package; see `ClassColumns`."""
    classes_from_one: bool = False
    """Whether outputs number the first class 1, and those of COCO by its category numbers."""


class DetectionGraph(ObjectGraph, frozen=True, kw_only=True):
    """The model graph of an object detector."""

    decoder: BoxDecoder
    fused: BoxDecoder | None = None
    """For exports that already hold non-maximum suppression; None: the family has no such export."""


class OrientedDetectionGraph(ObjectGraph, frozen=True, kw_only=True):
    """The model graph of a detector of rotated boxes."""

    decoder: OrientedDecoder
    fused: OrientedDecoder | None = None
    """For exports that already hold non-maximum suppression; None: the family has no such export."""


class InstanceGraph(DetectionGraph, frozen=True, kw_only=True):
    """The model graph of an instance segmenter."""

    decoder: InstanceDecoder
    fused: InstanceDecoder | None = None
    smooth: bool = False
    """Whether the project resizes scores of pixels; else their logits, whose edges are a little tighter."""
    in_boxes: bool = True
    """Whether the mask of an object ends at its box."""
    with_pixels: bool = True
    """Whether the project leaves out objects whose mask has no pixel."""


class SegmentsGraph(ObjectGraph, frozen=True, kw_only=True):
    """The model graph of a mask transformer, for instances or for segments of all pixels."""

    queries: QueryMaps
    panoptic: bool = False
    """Whether its answers share all pixels out."""


class KeyPointGraph(ObjectGraph, frozen=True, kw_only=True):
    """The model graph of a key-point detector."""

    decoder: KeyPointDecoder
    fused: KeyPointDecoder | None = None
    """For exports that already hold non-maximum suppression; None: the family has no such export."""
    key_points: KeyPointNames
    """Names and lines of the points of each class, where a package does not state them."""
    key_points_threshold: float = 0.0
    """Points that are less sure than this count as not found."""
    clamp: bool = False
    """Whether points outside the image are moved to its edge."""


class CropPointGraph(Graph, frozen=True, kw_only=True):
    """The model graph of a head that finds the key points of one object at a time, in a crop around its box.

    Inputs: crops (B, 3, h, w), and (B,) the root of the part that the box is of the window around it. Outputs, by name:
    `keypoints` and `sigmas` (B, S, 2), as parts of the window; `presence` and `scores` (B, S), of the points and of
    the object. The slots S are those of the classes as the package lays them out.
    """

    key_points_threshold: float
    """Points that are less sure than this count as not found."""
    heatmaps: bool = False
    """Whether it takes crops alone, and gives `heatmaps` (B, K, h, w) of the points of the one class."""


class TwoStageGraph(Graph, frozen=True, kw_only=True):
    """A detector, and a head of `CropPointGraph` that looks at what it finds."""


class ClassificationGraph(Graph, frozen=True, kw_only=True):
    """The model graph of a classifier: one label per image, or several."""

    decoder: ClassDecoder
    """The graph gives logits."""
    fused: ClassVar[bool] = True
    """Graphs that give scores, with the activation inside, are read as well."""
    confidence: float = DEFAULT_CONFIDENCE
    """Least score of a label; only for multi-label models."""


class AnomalyGraph(Graph, frozen=True, kw_only=True):
    """The model graph of a detector of anomalies: scores (B,), and maps of them (B, H, W) over the input."""

    class_names: tuple[str, ...] = ("normal", "anomalous")


class ActionGraph(Graph, frozen=True, kw_only=True):
    """The network of a model that says which action a clip shows: frames (T, 3, h, w) to logits (1, C)."""


class MatchingGraph(Graph, frozen=True, kw_only=True):
    """The network of a model that finds the same places in two pictures (2, 3, h, w)."""

    confidence: float = 0.0
    """Pairs that are not surer are left out."""


class TextDecoder(Protocol):
    """The part of a text reader behind the graph that takes the images. Safe to call from many threads."""

    def tokens(self, outputs: Sequence[Array]) -> NumpyArray:
        """(B, L) int64 tokens of the text of each image, from what the first graph gave."""

    def texts(self, tokens: NumpyArray) -> list[str]:
        """The text of each row of tokens."""


class TextGraph(Graph, frozen=True, kw_only=True):
    """The model graphs of a text reader."""

    decoder: Callable[[Mapping[str, Session], Mapping[str, Path]], TextDecoder]
    """Makes the decoder from the sessions and the other files of a package, both by role."""
    least_width: int | None = None
    """The graph takes lines of one height and any width: several at once, with zeros at the right of all but the
    widest, and to this width. None: pictures of one size."""


class LineDecoder(TextDecoder, Protocol):
    """A text decoder that knows where in a line each letter is."""

    def letters(self, outputs: Sequence[Array]) -> list[Letters]:
        """Of each line, from what the graph gave, as parts of the width it was given."""


class PageGraph(Graph, frozen=True, kw_only=True):
    """The graphs of a program that finds the lines of a page, turns them upright and reads them.

    `files` has the roles `detection`, `recognition`, `orientation`, which may be absent, and `config`, with the
    characters.
    """

    detector: DetectionGraph
    """Of regions, with corners."""
    reader: TextGraph
    """Its decoder is a `LineDecoder`, and it takes lines of any width."""
    confidence: float
    """Least mean score of the letters of a line."""
    orientation: PreprocessSpec
    """Of lines, for the graph whose second score says that one stands on its head."""


class EmbeddingGraph(Graph, frozen=True, kw_only=True):
    """The model graphs that make a vector of an image, and where there is a second one, of a text."""

    tokens: Callable[[Mapping[str, Path]], TextTokens] | None = None
    """Makes the tokens of texts, from the other files of a package by role; None: there are no texts."""
    unit_length: bool = False
    """Whether vectors are brought to length 1, which makes products of them cosines."""
    class_token: bool = False
    """Whether the first token is the vector, of graphs whose only output is all of them."""
    activation: Literal["softmax", "sigmoid"] = "softmax"
    """What makes scores of the cosines of an image and texts: of all texts together, or of each alone."""
    logit_scale: float | None = None
    """What these are multiplied with before that, where no part of the package says it; None: nobody knows."""


class Family(Record, frozen=True):
    """An architecture and the tasks it can do."""

    architecture: str
    tasks: Mapping[str, Graph]
    """Task name, as on the wire, to graph."""


def find_family(architecture: str) -> Family:
    """The family of an architecture name, from a file here or an installed plug-in.

    Raises:
        ModelImplementationNotFoundError: nobody handles it; the text names the nearest known ones.
    """
    wanted, found = canonical_name(architecture), None
    if wanted in _BUILT_IN:
        found = importlib.import_module(f"{__name__}.{wanted.replace('-', '_')}").FAMILY
    else:
        entry = next((entry for entry in entry_points(group=ENTRY_POINT_GROUP) if entry.name == wanted), None)
        if entry is None:
            hint = nearest_hint(architecture, known_architectures())
            raise ModelImplementationNotFoundError(f"no family handles architecture {architecture!r}; {hint}.")
        found = entry.load()
    if isinstance(found, Family):
        return found
    raise ModelImplementationNotFoundError(
        f"architecture {wanted!r} is registered by something that is not a Family: {found!r}."
    )


def canonical_name(architecture: str) -> str:
    """The one spelling of an architecture name."""
    wanted = architecture.strip().lower()
    dashed = wanted.replace("_", "-")
    if _RFDETR.fullmatch(dashed):
        return "rfdetr"
    return ALIASES.get(dashed, dashed if dashed in _BUILT_IN else wanted)


def find_graph(architecture: str, task: str) -> Graph:
    """The graph record of `architecture` for `task`.

    Raises:
        ModelImplementationNotFoundError: no family, or the family does not do this task.
    """
    family = find_family(architecture)
    if task not in family.tasks:
        raise ModelImplementationNotFoundError(
            f"family {family.architecture!r} does not do {task!r}; {nearest_hint(task, family.tasks)}."
        )
    return family.tasks[task]


def module_builder(graph: Graph, package: Mapping[str, Any] | None = None) -> ModuleBuilder | None:
    """What builds the PyTorch module of `graph`, imported when it is called and not before; None: there is none.

    What the package says of the network wins over what is written beside its weights.
    """
    if graph.module is None:
        return None
    where, _, function = graph.module.partition(":")

    def build(shapes: Mapping[str, tuple[int, ...]], stated: Mapping[str, Any] | None = None) -> Any:
        return getattr(importlib.import_module(where), function)(shapes, {**(stated or {}), **(package or {})})

    return build


def default_task(architecture: str) -> str | None:
    """The task of a package that names none: detection where the family does it, else the only one it does.

    Raises:
        ModelImplementationNotFoundError: nobody handles the architecture.
    """
    tasks = find_family(architecture).tasks
    if "object-detection" in tasks:
        return "object-detection"
    return next(iter(tasks)) if len(tasks) == 1 else None


def known_architectures() -> list[str]:
    """Every architecture that can be loaded here, sorted."""
    return sorted(_BUILT_IN | {entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)} | set(ALIASES))
