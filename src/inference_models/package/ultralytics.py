"""Reads architecture, task, class names and input size of an Ultralytics export from metadata and output shapes."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference_models.arrays import Shape
    from inference_models.package.onnx_file import OnnxFile
    from inference_models.package.preprocess_spec import Size

MAX_LITERAL = 1 << 20
"""Characters. The names of the largest public data set take about 400 000."""
_MAX_NESTING = 8
TASKS = {
    "classify": "classification",
    "detect": "object-detection",
    "pose": "keypoint-detection",
    "segment": "instance-segmentation",
}
"""Their word to ours, sorted."""
_VERSION = re.compile(r"\bYOLO(?P<v>v?)(?P<number>\d{1,2})(?P<size>[a-z]+)?\b", re.IGNORECASE)
_ANCHOR_FREE_SINCE = 8


@dataclass(frozen=True, kw_only=True)
class GraphHints:
    """What a bare file says about the model; None where it says nothing."""

    architecture: str | None = None
    task_type: str | None = None
    class_names: tuple[str, ...] | None = None
    input_size: Size | None = None
    """(height, width)."""
    stride: int | None = None
    fused: bool = False
    """Whether the graph already does what a decoder would: suppression, or the activation."""


def read_ultralytics(model: OnnxFile) -> GraphHints:
    """What the metadata of `model` says, and where it names no version, what the output shapes allow to conclude.

    A graph without this exporter's names and task is not guessed at: many layouts share one shape.
    """
    metadata = model.metadata
    task = TASKS.get(metadata.get("task", "").strip().lower())
    names = None if task is None else _class_names(metadata.get("names"))
    if names is None or task is None:
        return GraphHints()
    shapes = [spec.shape for spec in model.outputs]
    by_layout = _architecture_of(shapes, len(names))
    # A plain classification export ends in softmax.
    fused = task == "classification" or _is_fused(model, shapes)
    return GraphHints(
        architecture=_architecture_named(metadata.get("description", ""), by_layout) or by_layout,
        task_type=task,
        class_names=names,
        input_size=_input_size(metadata.get("imgsz"), model),
        stride=_whole_number(metadata.get("stride")),
        fused=fused,
    )


def _architecture_named(description: str, by_layout: str | None) -> str | None:
    match = _VERSION.search(description)
    if match is None:
        return None
    number = int(match["number"])
    if number < _ANCHOR_FREE_SINCE:
        # The re-trained "u" variants of older versions have the head of version 8.
        has_new_head = (match["size"] or "").lower().endswith("u") or by_layout == "yolov8"
        return "yolov8" if has_new_head else f"yolov{number}"
    return f"yolo{number}" if number >= 26 else f"yolov{number}"


def _architecture_of(shapes: list[Shape], classes: int) -> str | None:
    """`yolov8` for (B, 4+C, N) and for (B, C), `yolov5` for (B, N, 5+C)."""
    if len(shapes) != 1:
        return None
    if len(shapes[0]) == 2:
        return "yolov8"
    if len(shapes[0]) != 3:
        return None
    _, rows, columns = shapes[0]
    if rows == 4 + classes and columns != 5 + classes:
        return "yolov8"
    return "yolov5" if columns == 5 + classes and rows != 4 + classes else None


def _is_fused(model: OnnxFile, shapes: list[Shape]) -> bool:
    metadata = model.metadata
    arguments = _literal(metadata.get("args"))
    if isinstance(arguments, dict) and arguments.get("nms") is True:
        return True
    if metadata.get("end2end", "").strip().lower() == "true" or metadata.get("nms", "").strip().lower() == "true":
        return True
    first = shapes[0] if shapes else ()
    # A class count of one or two makes (B, 4+C, N) look alike only when N is 6, which no input size gives.
    return len(shapes) == 1 and len(first) == 3 and first[2] == 6


def _class_names(text: str | None) -> tuple[str, ...] | None:
    """The names by class id; None when the text is no complete table from 0 on."""
    table = _literal(text)
    if isinstance(table, list):
        table = dict(enumerate(table))
    if not isinstance(table, dict) or not table or set(table) != set(range(len(table))):
        return None
    names = tuple(table[index] for index in range(len(table)))
    return tuple(str(name).strip() for name in names) if all(isinstance(name, str) for name in names) else None


def _input_size(text: str | None, model: OnnxFile) -> Size | None:
    shape = model.inputs[0].shape if model.inputs else ()
    if len(shape) == 4 and shape[2] is not None and shape[3] is not None:
        return shape[2], shape[3]
    value = _literal(text)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value, value
    if isinstance(value, list) and len(value) == 2 and all(type(side) is int and side > 0 for side in value):
        return value[0], value[1]
    return None


def _whole_number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else None


def _literal(text: str | None) -> object:
    """The Python literal in `text`, without running anything; None when it is none, or too large."""
    if text is None or len(text) > MAX_LITERAL or _nesting(text) > _MAX_NESTING:
        return None
    try:
        value: object = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return value


def _nesting(text: str) -> int:
    """How deep brackets, and signs that could nest in their place, go at most; the parser's stack depends on it."""
    deepest = depth = signs = 0
    for character in text:
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        signs = signs + 1 if character in "+-~" else 0
        deepest = max(deepest, depth, signs)
    return deepest
