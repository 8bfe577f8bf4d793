"""What an exporter tells of a bare graph: of Ultralytics by metadata and output shapes, of RF-DETR by output names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from inference_models.package.exporter_texts import literal
from inference_models.package.key_point_names import COCO_PERSON, KeyPointNames
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference_models.arrays import Shape
    from inference_models.package.graph_facts import GraphFacts
    from inference_models.package.preprocess_spec import Size

TASKS = {
    "classify": "classification",
    "depth": "depth-estimation",
    "detect": "object-detection",
    "obb": "oriented-object-detection",
    "pose": "keypoint-detection",
    "segment": "instance-segmentation",
    "semantic": "semantic-segmentation",
}
"""Their word to ours, sorted."""
_VERSION = r"(?i)YOLOv?(?P<number>\d{1,2})(?P<size>[a-z0-9]*)(-\w+)*"
"""All of what the exporter calls the model, so that nothing a user named is taken for a version."""
_NAMED = {8: "yolov8", 9: "yolov9", 10: "yolov10", 11: "yolov11", 12: "yolov12", 26: "yolo26"}
_RAW_ALIKE = {
    "classification": frozenset({"yolov8", "yolov11", "yolov12", "yolo26"}),
    "keypoint-detection": frozenset({"yolov8", "yolov11", "yolo26"}),
    "oriented-object-detection": frozenset({"yolov8", "yolov11", "yolo26"}),
}
"""Tasks whose heads all give one layout, and the architectures that say they do them; others are read as YOLOv8."""
_OF_ONE = frozenset({"depth-estimation", "semantic-segmentation"})
"""Tasks that YOLO26 brought, whatever a user calls the model."""
MAX_KEY_POINTS = 10_000
"""Of one object; more is a mistake."""
_FINAL, _ROW = "final", 6
"""Rows of x1 y1 x2 y2, score, class: the graph holds the suppression, or needs none."""


class GraphHints(Record, frozen=True, kw_only=True):
    """What a bare file says about the model; None where it says nothing."""

    architecture: str | None = None
    task_type: str | None = None
    class_names: tuple[str, ...] | None = None
    nameless: int | None = None
    """The first class without a name, where others have one: nothing may shift."""
    key_points: KeyPointNames | None = None
    """Of a key-point detector."""
    input_size: Size | None = None
    """(height, width)."""
    stride: int | None = None
    fused: bool = False
    """Whether the graph already does what a decoder would: suppression, or the activation."""


_RFDETR_TASKS = {
    frozenset({"dets", "labels"}): "object-detection",
    frozenset({"dets", "labels", "keypoints"}): "keypoint-detection",
    frozenset({"dets", "labels", "masks"}): "instance-segmentation",
}
"""Names of all outputs, as rfdetr 1.11 gives them, which leaves no metadata."""


def read_exporter(model: GraphFacts) -> GraphHints:
    """What a bare graph says about its model."""
    task = _RFDETR_TASKS.get(frozenset(spec.name for spec in model.outputs))
    return read_ultralytics(model) if task is None else GraphHints(architecture="rfdetr", task_type=task)


def read_ultralytics(model: GraphFacts) -> GraphHints:
    """What the metadata of `model` says, and what the output shapes allow to conclude.

    A graph without this exporter's fields is not guessed at: many layouts share one shape. The export script of YOLOv5
    leaves no task; its stride and names tell the layout.
    """
    metadata = model.metadata
    listed = _class_names(metadata["names"]) if "names" in metadata else None
    names = listed if isinstance(listed, tuple) else None
    stated = metadata.get("task", "").strip().lower()
    shapes = [spec.shape for spec in model.outputs]
    layout = _layout(shapes, len(names)) if names and stated in {"", "detect", "segment"} else None
    by_script = not stated and "stride" in metadata and layout in {"yolov5", "yolov8"}
    task = TASKS.get(("segment" if _prototypes(shapes) else "detect") if by_script else stated)
    if names is None or task is None:
        return GraphHints(class_names=names, nameless=listed if isinstance(listed, int) else None)
    return GraphHints(
        architecture=_architecture(metadata, task, layout, len(names)),
        task_type=task,
        class_names=names,
        key_points=_key_points(metadata, len(names)) if stated == "pose" else None,
        input_size=_input_size(metadata.get("imgsz"), model),
        stride=_whole_number(metadata.get("stride")),
        # A plain classification export ends in softmax; the family of RT-DETR tells its rows apart itself.
        fused=not _is_rtdetr(metadata)
        and (task == "classification" or layout == _FINAL or (layout is None and _says_fused(metadata))),
    )


def _architecture(metadata: Mapping[str, str], task: str, layout: str | None, classes: int) -> str | None:
    number, size = _version(metadata.get("description", ""))
    named = _NAMED.get(number)
    if _is_rtdetr(metadata):
        return "rt-detr-ultralytics"
    if task in _OF_ONE:
        return "yolo26"
    if task in _RAW_ALIKE:
        return named if named in _RAW_ALIKE[task] else "yolov8"
    if layout == "yolov5" or named is not None:
        return layout if layout == "yolov5" else named
    # RT-DETR gives (B, N, 4 + C) too, so that rows of 6 say nothing where there are two classes.
    if layout == "yolov8" or (layout == _FINAL and (classes != 2 or _says_fused(metadata))) or size.endswith("u"):
        return "yolov8"
    return f"yolov{number}" if number and layout is None else None


def _is_rtdetr(metadata: Mapping[str, str]) -> bool:
    stated = metadata.get("head", ""), metadata.get("description", "").removeprefix("Ultralytics ")
    return stated[0].lower().startswith("rtdetr") or stated[1].lower().startswith(("rtdetr", "rt-detr"))


def _version(description: str) -> tuple[int, str]:
    """Number and size of the model, from what stands before the data set it was trained on; 0 where there is none."""
    name = description.strip().removeprefix("Ultralytics ").partition(" model")[0].strip()
    match = re.fullmatch(_VERSION, name)
    return (int(match["number"]), match["size"].lower()) if match else (0, "")


def _layout(shapes: list[Shape], classes: int) -> str | None:
    """`yolov8` for (B, 4 + C, N), `yolov5` for (B, N, 5 + C), `final` for (B, M, 6); None where they do not say.

    Of models with masks, rows end in as many coefficients as there are prototypes.
    """
    behind = _prototypes(shapes)
    if (len(shapes) != 1 and not behind) or len(shapes[0]) != 3:
        return None
    _, rows, columns = shapes[0]
    if columns == _ROW + behind:
        # No input size gives so few anchors.
        return _FINAL
    is_raw, has_objectness = rows == 4 + classes + behind, columns == 5 + classes + behind
    return None if is_raw == has_objectness else "yolov8" if is_raw else "yolov5"


def _prototypes(shapes: list[Shape]) -> int:
    """How many maps the masks of a model are sums of; 0 where it has none. YOLOv7 gives them behind its raw heads."""
    maps = [shape for shape in shapes[1:] if len(shape) == 4]
    return (maps[0][1] or 0) if maps else 0


def _says_fused(metadata: Mapping[str, str]) -> bool:
    arguments = literal(metadata.get("args"))
    if isinstance(arguments, dict) and arguments.get("nms") is True:
        return True
    return any(metadata.get(field, "").strip().lower() == "true" for field in ("end2end", "nms"))


def _class_names(text: str | None) -> tuple[str, ...] | int | None:
    """The names by class id, as they are; the first class without one; None when the text is no table."""
    table = literal(text)
    if isinstance(table, list | tuple):
        table = dict(enumerate(table))
    if not isinstance(table, dict) or not table:
        return None
    # JSON has no keys but text.
    numbered = {
        int(key) if isinstance(key, str) and key.isascii() and key.isdecimal() else key: table[key] for key in table
    }
    names = [numbered.get(index) for index in range(len(table))]
    wrong = next((index for index, name in enumerate(names) if not isinstance(name, str)), None)
    return tuple(map(str, names)) if wrong is None else wrong


def _key_points(metadata: Mapping[str, str], classes: int) -> KeyPointNames | None:
    """Of every class: all have the same number of points, which have names since 8.4."""
    shape, named = literal(metadata.get("kpt_shape")), literal(metadata.get("kpt_names"))
    count = shape[0] if isinstance(shape, list) and shape else None
    if not isinstance(count, int) or not 0 < count <= MAX_KEY_POINTS:
        return None
    points = [COCO_PERSON.classes[0] if count == COCO_PERSON.slots else tuple(map(str, range(count)))] * classes
    if isinstance(named, dict) and all(
        isinstance(listed := named.get(number), list) and len(listed) == count for number in range(classes)
    ):
        points = [tuple(map(str, named[number])) for number in range(classes)]
    lines = {COCO_PERSON.classes[0]: COCO_PERSON.skeletons[0]}
    return KeyPointNames(tuple(points), tuple(lines.get(names, ()) for names in points))


def _input_size(text: str | None, model: GraphFacts) -> Size | None:
    shape = model.inputs[0].shape if model.inputs else ()
    height, width = shape[1:3] if shape[3:] in {(1,), (3,)} else (*shape[2:4], None, None)[:2]
    if len(shape) == 4 and height is not None and width is not None:
        return height, width
    value = literal(text)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value, value
    if isinstance(value, list) and len(value) == 2 and all(type(side) is int and side > 0 for side in value):
        return value[0], value[1]
    return None


def _whole_number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else None
