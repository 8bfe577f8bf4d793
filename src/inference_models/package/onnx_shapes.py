"""Frees input sizes that an exporter stored as fixed numbers, without a runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.onnx_file import (
    DIMENSION,
    GRAPH,
    INPUT,
    OUTPUT,
    SHAPE,
    TENSOR_TYPE,
    VALUE_INFO,
    VALUE_NAME,
    VALUE_TYPE,
    read_onnx_bytes,
)
from inference_models.package.wire import BYTES, Span, WireReader, encode_message, encode_varint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from inference_models.arrays import Shape


def with_free_input_dims(data: bytes, dims: Mapping[str, Shape], *, where: str = "weights.onnx") -> bytes:
    """The same graph with the given input shapes; None in a shape leaves that side open.

    Shapes of outputs and of values in between are removed, since they followed from the old ones. Every other byte
    stays as it is.

    Raises:
        CorruptedModelPackageError: `data` is no graph, or has no input of that name and number of sides.
    """
    inputs = {spec.name: spec.shape for spec in read_onnx_bytes(data, where=where).inputs}
    check_free_input_dims(dims, inputs, where=where)
    reader = WireReader(data)
    return _rewritten(reader, reader.whole, {GRAPH: lambda graph: _graph(reader, graph, dims)})


def check_free_input_dims(dims: Mapping[str, Shape], inputs: Mapping[str, Sequence[object]], *, where: str) -> None:
    """Returns nothing when every shape in `dims` belongs to one of `inputs`.

    Raises:
        CorruptedModelPackageError: there is no input of that name and number of sides.
    """
    for name, shape in dims.items():
        if name not in inputs or len(inputs[name]) != len(shape):
            found = ", ".join(f"{known!r} with {len(sides)} sides" for known, sides in inputs.items()) or "no inputs"
            raise CorruptedModelPackageError(
                f"{where}: free_input_dims does not fit the graph.",
                needs=f"an input {name!r} with {len(shape)} sides",
                found=found,
            )


def _graph(reader: WireReader, graph: Span, dims: Mapping[str, Shape]) -> bytes:
    def input_(value: Span) -> bytes:
        name = "".join(reader.text(span.start, span.end) for span in reader.messages(value, VALUE_NAME))
        return _with_shape(reader, value, _encoded_shape(dims[name])) if name in dims else _bytes(reader, value)

    def other(value: Span) -> bytes:
        return _with_shape(reader, value, b"")

    return _rewritten(reader, graph, {INPUT: input_, OUTPUT: other, VALUE_INFO: other})


def _with_shape(reader: WireReader, value: Span, shape: bytes) -> bytes:
    def tensor(span: Span) -> bytes:
        return _rewritten(reader, span, {SHAPE: None}) + shape

    def type_(span: Span) -> bytes:
        return _rewritten(reader, span, {TENSOR_TYPE: tensor})

    return _rewritten(reader, value, {VALUE_TYPE: type_})


def _rewritten(reader: WireReader, span: Span, edits: Mapping[int, Callable[[Span], bytes] | None]) -> bytes:
    """The message in `span` with some fields replaced, or left out where the edit is None."""
    parts, copied = [], span.start
    for number, kind, tag_start, start, end in reader.fields(span):
        if number not in edits or kind != BYTES:
            continue
        parts.append(reader.data[copied:tag_start])
        edit = edits[number]
        if edit is not None:
            parts.append(encode_message(number, edit(Span(start, end))))
        copied = end
    parts.append(reader.data[copied : span.end])
    return b"".join(parts)


def _encoded_shape(shape: Shape) -> bytes:
    dimensions = (b"" if side is None else encode_varint(1 << 3) + encode_varint(side) for side in shape)
    return encode_message(SHAPE, b"".join(encode_message(DIMENSION, dimension) for dimension in dimensions))


def _bytes(reader: WireReader, span: Span) -> bytes:
    return bytes(reader.data[span.start : span.end])
