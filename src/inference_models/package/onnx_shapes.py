"""Frees input sizes that an exporter stored as fixed numbers, without a runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.onnx_file import no_graph
from inference_models.package.onnx_wire import BYTES, VARINT, WireError, WireReader
from inference_models.package.text_files import removed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from inference_models.arrays import Shape
    from inference_models.package.onnx_file import OnnxFile

_GRAPH, _INPUT, _OUTPUT, _VALUE_INFO = 7, 11, 12, 13
_SHAPE_OF_VALUE = (2, 1, 2)
"""Field numbers on the way from a value to its shape: type, tensor_type, shape."""
_UNKNOWN = 0x70
"""Set in the tag of a field, makes it one with a number above 13, which no reader of shapes knows or looks at."""


def with_free_input_dims(file: OnnxFile, dims: Mapping[str, Shape]) -> bytes:
    """The bytes of the graph with the sides of inputs left open that are not stored as `dims` says.

    Shapes of outputs and of values in between are hidden, since they followed from the old ones. Nothing moves, and
    every other byte stays as it is.

    Raises:
        CorruptedModelPackageError: the graph has no input of that name and number of sides, or the file was removed.
    """
    check_free_input_dims(dims, {spec.name: spec.shape for spec in file.inputs}, where=file.path.name)
    try:
        data = bytearray(file.path.read_bytes())
    except FileNotFoundError as exc:
        raise removed(file.path.name) from exc
    try:
        _open_sides(data, dims)
    except WireError as exc:
        raise no_graph(file.path.name, str(exc)) from exc
    return bytes(data)


def _open_sides(data: bytearray, dims: Mapping[str, Shape]) -> None:
    reader = WireReader(data)
    for _, graph, end in _fields_at(reader, (_GRAPH,), 0, len(data)):
        for number, wire, _, value, stop in reader.fields(graph, end):
            if (number, wire) == (_INPUT, BYTES):
                _open_sides_of(reader, data, dims, value, stop)
            elif wire == BYTES and number in {_OUTPUT, _VALUE_INFO}:
                for tag, _, _ in _fields_at(reader, _SHAPE_OF_VALUE, value, stop):
                    data[tag] |= _UNKNOWN


def _open_sides_of(reader: WireReader, data: bytearray, dims: Mapping[str, Shape], value: int, stop: int) -> None:
    """Open those sides of the input in [value, stop) that are not stored as `dims` says."""
    shape = dims.get(reader.message("Value", value, stop).get("name", [""])[-1], ())
    sides = _fields_at(reader, (*_SHAPE_OF_VALUE, 1), value, stop)
    for wanted, (_, start, end) in zip(shape, sides, strict=False):
        for number, wire, tag, stored, _ in reader.fields(start, end):
            if (number, wire) == (1, VARINT) and stored != wanted:
                data[tag] |= _UNKNOWN


def _fields_at(reader: WireReader, way: tuple[int, ...], start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Tag, start and end of the fields at the end of a way of field numbers through the message in [start, end)."""
    for number, wire, tag, content, stop in reader.fields(start, end):
        if number == way[0] and wire == BYTES:
            yield from [(tag, content, stop)] if len(way) == 1 else _fields_at(reader, way[1:], content, stop)


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
