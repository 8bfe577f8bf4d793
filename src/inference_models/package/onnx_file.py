"""What an ONNX file says about itself, read without a runtime: versions, metadata, inputs, outputs, external data."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_models.arrays import TensorSpec
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.onnx_tensors import ExternalTensor, walk_external
from inference_models.package.text_files import removed
from inference_models.package.wire import BYTES, VARINT, Span, WireError, WireReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from inference_models.arrays import Shape
    from inference_models.package.wire import Buffer

DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "str",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
}
"""ONNX element types by number, as NumPy names."""

IR_VERSION, PRODUCER, GRAPH, OPSETS, METADATA = 1, 2, 7, 8, 14
INITIALIZER, SPARSE_INITIALIZER, INPUT, OUTPUT, VALUE_INFO = 5, 15, 11, 12, 13
VALUE_NAME, VALUE_TYPE, TENSOR_TYPE, ELEMENT_TYPE, SHAPE, DIMENSION = 1, 2, 1, 1, 2, 1
_DEFAULT_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """Facts about one graph."""

    name: str
    """File name, for messages."""
    ir_version: int
    opset: int | None
    """Of the default domain; None when the file imports none."""
    producer: str
    metadata: Mapping[str, str]
    """What the exporter left, for example `names` and `task`."""
    inputs: tuple[TensorSpec, ...]
    """What a run must be given: graph inputs that have no stored value."""
    outputs: tuple[TensorSpec, ...]
    external: tuple[ExternalTensor, ...]
    """Tensors whose values lie in other files, wherever in the graph they are."""


def read_onnx_file(path: Path) -> OnnxFile:
    """The facts about the graph in a file; the weights in it are not read.

    Raises:
        CorruptedModelPackageError: the file is gone, cannot be read, or is no ONNX graph; names the byte position.
    """
    try:
        with path.open("rb") as stream:
            if not stream.read(1):
                raise _refused(path.name, "an empty file")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _read(data, path.name)
    except FileNotFoundError as exc:
        raise removed(path.name) from exc
    except OSError as exc:
        raise _refused(path.name, exc.strerror or type(exc).__name__) from exc


def read_onnx_bytes(data: bytes, *, where: str) -> OnnxFile:
    """The facts about the graph in `data`.

    Raises:
        CorruptedModelPackageError: it is no ONNX graph; names the byte position.
    """
    if not data:
        raise _refused(where, "an empty file")
    return _read(data, where)


def _read(data: Buffer, name: str) -> OnnxFile:
    try:
        return _parse(WireReader(data), name)
    except WireError as exc:
        raise _refused(name, str(exc)) from exc


def _parse(reader: WireReader, name: str) -> OnnxFile:
    # The outermost message first and completely: what is no message at all is found out in microseconds.
    top = list(reader.fields(reader.whole))
    graphs = [Span(start, end) for number, kind, _, start, end in top if (number, kind) == (GRAPH, BYTES)]
    if not graphs:
        raise WireError("no graph before the end", len(reader.data))
    stored = {item for graph in graphs for item in _stored_names(reader, graph)}
    return OnnxFile(
        name=name,
        ir_version=max((reader.signed(f[3], f[4]) for f in top if f[:2] == (IR_VERSION, VARINT)), default=0),
        opset=_default_opset(reader),
        producer="".join(reader.text(f[3], f[4]) for f in top if f[:2] == (PRODUCER, BYTES)),
        metadata=dict(_string_pairs(reader, METADATA)),
        inputs=tuple(spec for spec in _tensor_specs(reader, graphs, INPUT) if spec.name not in stored),
        outputs=tuple(_tensor_specs(reader, graphs, OUTPUT)),
        external=tuple(walk_external(reader)),
    )


def _default_opset(reader: WireReader) -> int | None:
    versions = []
    for span in reader.messages(reader.whole, OPSETS):
        domain, version = "", 0
        for number, kind, _, start, end in reader.fields(span):
            if (number, kind) == (1, BYTES):
                domain = reader.text(start, end)
            elif (number, kind) == (2, VARINT):
                version = reader.signed(start, end)
        if domain in _DEFAULT_DOMAINS:
            versions.append(version)
    return max(versions, default=None)


def _string_pairs(reader: WireReader, wanted: int) -> Iterator[tuple[str, str]]:
    for span in reader.messages(reader.whole, wanted):
        pair = {1: "", 2: ""}
        for number, kind, _, start, end in reader.fields(span):
            if kind == BYTES and number in pair:
                pair[number] = reader.text(start, end)
        yield pair[1], pair[2]


def _stored_names(reader: WireReader, graph: Span) -> Iterator[str]:
    for number, kind, _, start, end in reader.fields(graph):
        if kind == BYTES and number == INITIALIZER:
            yield from _texts(reader, Span(start, end), 8)
        elif kind == BYTES and number == SPARSE_INITIALIZER:
            for values in reader.messages(Span(start, end), 1):
                yield from _texts(reader, values, 8)


def _texts(reader: WireReader, span: Span, wanted: int) -> Iterator[str]:
    for found in reader.messages(span, wanted):
        yield reader.text(found.start, found.end)


def _tensor_specs(reader: WireReader, graphs: list[Span], wanted: int) -> Iterator[TensorSpec]:
    for graph in graphs:
        for value in reader.messages(graph, wanted):
            name = "".join(_texts(reader, value, VALUE_NAME))
            dtype = "unknown"
            shape: Shape = ()
            for type_ in reader.messages(value, VALUE_TYPE):
                for tensor in reader.messages(type_, TENSOR_TYPE):
                    dtype, shape = _element_type(reader, tensor), read_shape(reader, tensor)
            yield TensorSpec(name, shape, dtype)


def _element_type(reader: WireReader, tensor: Span) -> str:
    for number, kind, _, start, end in reader.fields(tensor):
        if (number, kind) == (ELEMENT_TYPE, VARINT):
            return DTYPES.get(reader.signed(start, end), "unknown")
    return "unknown"


def read_shape(reader: WireReader, tensor: Span) -> Shape:
    """The shape of a tensor type; None where the file names no number."""
    return tuple(
        _dimension(reader, dimension)
        for shape in reader.messages(tensor, SHAPE)
        for dimension in reader.messages(shape, DIMENSION)
    )


def _dimension(reader: WireReader, span: Span) -> int | None:
    size = None
    for number, kind, _, start, end in reader.fields(span):
        if number == 1 and kind == VARINT:
            size = reader.signed(start, end)
        elif number == 2 and kind == BYTES:
            size = None
    # Exporters write 0 or -1 for a side they do not know.
    return size if size is not None and size > 0 else None


def _refused(name: str, found: str) -> CorruptedModelPackageError:
    return CorruptedModelPackageError(
        f"{name} is not an ONNX graph.",
        needs="a complete ONNX file",
        found=found,
        fix="export or fetch the file again",
    )
