"""What a file of `torch.save` says without PyTorch: shapes of its tensors, and what the training wrote beside them.

The pickle inside is walked, never unpickled: names of classes and functions are texts here, calls make tensors' shapes
or nothing, so that no code of anybody runs, whatever the file holds. Reading the weights is PyTorch's, later.
"""

from __future__ import annotations

import pickletools
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.exporters import GraphHints
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from inference_models.package.preprocess_spec import Size

SUFFIXES = frozenset({".pt", ".pth"})
WRAPPERS = ("state_dict", "model", "model_state_dict", "state")
"""Names under which training scripts put the weights beside other things."""
_LARGEST = 1 << 25
"""Bytes of a pickle that lists tensors."""
_FACTS = ("args", "model_config")
"""Where trainings of RF-DETR write how the network was made; the later one wins."""
_READ_ERRORS = (EOFError, LookupError, OSError, RuntimeError, StopIteration, TypeError, ValueError)
"""What damaged files lead to."""
_MARK = object()
_COCO_COLUMNS = 91


class Checkpoint(Record, frozen=True):
    """A file of weights."""

    shapes: Mapping[str, Sequence[int]]
    """Of its tensors, by name."""
    facts: Mapping[str, Any]
    """What the training wrote of the network; texts, numbers, lists and dictionaries."""


class _Shape(tuple):  # type: ignore[type-arg]
    """Of a tensor."""

    __slots__ = ()


def read_checkpoint(path: Path) -> Checkpoint:
    """The tensors in a file, by name and shape.

    Raises:
        CorruptedModelPackageError: it is not what `torch.save` of PyTorch 1.6 and later writes of tensors by name.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (info,) = [item for item in archive.infolist() if item.filename.endswith("/data.pkl")]
            if info.file_size > _LARGEST:
                raise _unreadable(path, f"a list of tensors of {info.file_size} bytes")
            saved = _walk(archive.read(info))
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        ValueError,
        IndexError,
        TypeError,
        KeyError,
        RecursionError,
    ) as exc:
        raise _unreadable(path, f"{type(exc).__name__}: {exc}"[:120]) from exc
    state, facts = saved if isinstance(saved, dict) else {}, facts_beside(saved)
    for wrapper in WRAPPERS:
        state = state[wrapper] if isinstance(state.get(wrapper), dict) else state
    shapes = {str(name): tuple(value) for name, value in state.items() if isinstance(value, _Shape)}
    if not shapes:
        raise _unreadable(path, "no tensors by name")
    return Checkpoint(shapes, facts)


def facts_beside(saved: object) -> dict[str, Any]:
    """What a training wrote beside the weights, in a dictionary or in the attributes of an object."""
    found: dict[str, Any] = {}
    for name in _FACTS:
        stated = saved.get(name) if isinstance(saved, dict) else None
        values = stated if isinstance(stated, dict) else getattr(stated, "__dict__", {})
        found |= {str(key): value for key, value in values.items()}
    return found


def read_hints(checkpoint: Checkpoint) -> GraphHints:
    """What a checkpoint shows of itself: those of RF-DETR are known by the names of their tensors.

    Published weights of COCO have its 91 category numbers and name no classes; trainings write them down.
    """
    shapes, facts = checkpoint.shapes, checkpoint.facts
    if not any(name.startswith("backbone.0.encoder.") for name in shapes):
        return GraphHints()
    columns = next(iter(shapes.get("class_embed.bias", ())), None)
    stated = facts.get("class_names")
    names = tuple(stated) if isinstance(stated, list) and all(isinstance(name, str) for name in stated) else None
    kinds = {"semantic_embed.weight": "semantic-segmentation", "segmentation_head.bias": "instance-segmentation"}
    return GraphHints(
        architecture="rfdetr",
        task_type=next((task for name, task in kinds.items() if name in shapes), "object-detection"),
        class_names=names or (_coco() if columns == _COCO_COLUMNS and not names else None),
        input_size=_input_size(shapes, facts),
    )


def _coco() -> tuple[str, ...]:
    from inference_models.package.class_names import read_labels  # noqa: PLC0415 - of published weights alone

    return read_labels("coco")


def _input_size(shapes: Mapping[str, Sequence[int]], facts: Mapping[str, Any]) -> Size | None:
    """The side that the training states, else that of the table of positions, in pixels."""
    side = facts.get("resolution")
    if not isinstance(side, int) or side < 1:
        start = "backbone.0.encoder.encoder.embeddings."
        patch = shapes.get(f"{start}patch_embeddings.projection.weight", ())
        places = shapes.get(f"{start}position_embeddings", ())
        if len(patch) != 4 or len(places) != 3:
            return None
        # The one size whose table is that of its encoder, for 518 pixels, and not of its own input.
        side = {(14, 37): 560}.get((patch[3], _root(places[1])), patch[3] * _root(places[1]))
    return side, side


def _root(places: int) -> int:
    return int((places - 1) ** 0.5)


def _unreadable(path: Path, found: str) -> CorruptedModelPackageError:
    return CorruptedModelPackageError(
        f"{path.name} cannot be read as weights.",
        needs="tensors by name, as torch.save(model.state_dict(), path) of PyTorch 1.6 and later writes them",
        found=found,
    )


def _walk(pickle: bytes) -> object:
    """What a pickle describes: dictionaries, lists, texts and numbers; shapes for tensors; {} for all else."""
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    for opcode, argument, _ in pickletools.genops(pickle):
        name = opcode.name
        if name == "STOP":
            break
        if name in _PUSHED:
            stack.append(_PUSHED[name]() if callable(_PUSHED[name]) else _PUSHED[name])
        elif name.endswith("PUT") or name == "MEMOIZE":
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif name.endswith("GET"):
            stack.append(memo[argument])
        elif name in _DONE:
            _DONE[name](stack)
        elif name not in {"PROTO", "FRAME"}:
            stack.append(argument)  # a number, a text or the name of a class
    return stack[-1]


def _since_mark(stack: list[Any]) -> list[Any]:
    place = len(stack) - 1 - next(i for i, value in enumerate(reversed(stack)) if value is _MARK)
    values = stack[place + 1 :]
    del stack[place:]
    return values


def _taken(stack: list[Any], count: int) -> list[Any]:
    values = stack[-count:]
    del stack[-count:]
    return values


def _called(stack: list[Any]) -> None:
    function, arguments = _taken(stack, 2)
    made: Any = {}
    if isinstance(function, str) and isinstance(arguments, tuple):
        if function.startswith("torch._utils _rebuild_tensor") and len(arguments) > 2:
            made = _Shape(arguments[2])
        elif function.startswith("torch._utils _rebuild_parameter") and arguments:
            made = arguments[0]
    stack.append(made)


def _built(stack: list[Any]) -> None:
    (state,) = _taken(stack, 1)
    if isinstance(stack[-1], dict) and isinstance(state, dict):
        stack[-1].update(state)


def _set(stack: list[Any], values: list[Any]) -> None:
    if isinstance(stack[-1], dict):  # keys of other kinds are nobody's names
        stack[-1].update({k: v for k, v in zip(values[::2], values[1::2], strict=True) if isinstance(k, str | int)})


def _append(stack: list[Any], values: list[Any]) -> None:
    if isinstance(stack[-1], list):
        stack[-1].extend(values)


_PUSHED: dict[str, Any] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_TUPLE": tuple,
    "MARK": _MARK,
    "NEWFALSE": False,
    "NEWTRUE": True,
    "NONE": None,
}
_DONE: dict[str, Any] = {
    "ADDITEMS": lambda stack: _append(stack, _since_mark(stack)),
    "APPEND": lambda stack: _append(stack, _taken(stack, 1)),
    "APPENDS": lambda stack: _append(stack, _since_mark(stack)),
    "BINPERSID": lambda stack: stack.append(_taken(stack, 1) and None),
    "BUILD": _built,
    "NEWOBJ": _called,
    "REDUCE": _called,
    "SETITEM": lambda stack: _set(stack, _taken(stack, 2)),
    "SETITEMS": lambda stack: _set(stack, _since_mark(stack)),
    "STACK_GLOBAL": lambda stack: stack.append(" ".join(map(str, _taken(stack, 2)))),
    "TUPLE": lambda stack: stack.append(tuple(_since_mark(stack))),
    "TUPLE1": lambda stack: stack.append(tuple(_taken(stack, 1))),
    "TUPLE2": lambda stack: stack.append(tuple(_taken(stack, 2))),
    "TUPLE3": lambda stack: stack.append(tuple(_taken(stack, 3))),
}
