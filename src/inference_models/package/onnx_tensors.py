"""Finds every tensor of an ONNX file whose values lie in another file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_models.package.wire import BYTES, VARINT, Span, WireError, WireReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_DEPTH = 100
"""Messages inside messages; protobuf's own readers stop at the same depth."""

_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14

_CHILDREN: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Message kind -> field number -> kind of the message in it, for every way that leads to a tensor."""


@dataclass(frozen=True)
class ExternalTensor:
    """A tensor whose values lie in another file."""

    name: str
    position: int
    """Byte position of the tensor in the ONNX file."""
    entries: tuple[tuple[str, str], ...]
    """`location`, `offset`, `length`, `checksum` as the file says them, in its order."""


def walk_external(reader: WireReader) -> Iterator[ExternalTensor]:
    """Every external tensor: initializers, sparse ones, attributes, subgraphs, functions, training graphs.

    Raises:
        WireError: a message is damaged, or nested too deeply.
    """
    # A list of its own instead of recursion: depth is a number that is checked, never the stack of the interpreter.
    waiting = [("model", reader.whole, 1)]
    while waiting:
        kind, span, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise WireError(f"more than {MAX_DEPTH} messages inside each other", span.start)
        if kind == "tensor":
            tensor = _external(reader, span)
            if tensor is not None:
                yield tensor
            continue
        children = _CHILDREN[kind]
        for number, wire_kind, _, start, end in reader.fields(span):
            if number in children and wire_kind == BYTES:
                waiting.append((children[number], Span(start, end), depth + 1))


def _external(reader: WireReader, span: Span) -> ExternalTensor | None:
    name, entries, elsewhere = "", [], False
    for number, kind, _, start, end in reader.fields(span):
        if number == _NAME and kind == BYTES:
            name = reader.text(start, end)
        elif number == _EXTERNAL_DATA and kind == BYTES:
            entries.append(_entry(reader, Span(start, end)))
        elif number == _DATA_LOCATION and kind == VARINT:
            elsewhere = elsewhere or reader.signed(start, end) != 0
    # Either sign alone is enough: readers differ in which one they follow.
    if not elsewhere and not entries:
        return None
    return ExternalTensor(name, span.start, tuple(entries))


def _entry(reader: WireReader, span: Span) -> tuple[str, str]:
    pair = {1: "", 2: ""}
    for number, kind, _, start, end in reader.fields(span):
        if kind == BYTES and number in pair:
            pair[number] = reader.text(start, end)
    return pair[1], pair[2]
