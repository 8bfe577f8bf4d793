"""Reads a TensorFlow Lite graph without the runtime: shapes and number format from its FlatBuffer, and its metadata.

Layout: `schema.fbs` of TensorFlow Lite, version 3. Every offset is checked against the file before it is followed.
"""

from __future__ import annotations

import mmap
import struct
from math import prod
from typing import TYPE_CHECKING

from inference_models.arrays import TensorSpec
from inference_models.entities import Quantization
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.exporter_texts import literal_metadata, text_in_zip, yaml_beside
from inference_models.package.graph_facts import FEWEST_WEIGHTS, GraphFacts, most_of
from inference_models.package.text_files import removed

if TYPE_CHECKING:
    from pathlib import Path

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every such file."""
MAX_ITEMS = 200_000
"""Of one vector of tables, many of which may be the same one."""
MAX_SIDES, MAX_ENDS, MAX_NAME = 64, 4096, 4096
"""Of a tensor; inputs or outputs of a graph; bytes of a name."""
_SUBGRAPHS, _BUFFERS = 2, 4
_TENSORS, _INPUTS, _OUTPUTS = 0, 1, 2
_SHAPE, _TYPE, _BUFFER, _NAME, _SIGNATURE = 0, 1, 2, 3, 7
"""Places of fields in their tables."""
_INT8 = Quantization.INT8
_FORMATS = {0: Quantization.FP32, 1: Quantization.FP16, 3: _INT8, 9: _INT8, 17: _INT8, 18: Quantization.BF16}
_DTYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 5: "str", 6: "bool", 7: "int16", 9: "int8"}


def read_graph(path: Path) -> GraphFacts:
    """The facts about the graph in a `.tflite` file.

    Raises:
        CorruptedModelPackageError: the file is gone, or no complete graph.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            if start[4:] != IDENTIFIER:
                raise _no_graph(path, f"{ascii(start[4:])[1:]} there" if len(start) == 8 else f"{len(start)} bytes")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _facts(path, _FlatBuffer(data))
    except FileNotFoundError as exc:
        raise removed(path.name) from exc
    except CorruptedModelPackageError:
        raise
    except (struct.error, ValueError, IndexError) as exc:
        raise _no_graph(path, f"an offset that leads out of the file ({exc})") from exc


class _FlatBuffer:
    """Tables by their position in the bytes. What leads out of these raises `struct.error`."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.root = self.number("I", 0)

    def number(self, kind: str, position: int) -> int:
        if position < 0:
            raise struct.error("before the start")
        value: int = struct.unpack_from(f"<{kind}", self.data, position)[0]
        return value

    def field(self, table: int, place: int) -> int | None:
        """Position of a field; None where the table leaves it out."""
        directory = table - self.number("i", table)
        if 4 + 2 * place >= self.number("H", directory):
            return None
        offset = self.number("H", directory + 4 + 2 * place)
        return table + offset if offset else None

    def vector(self, table: int, place: int) -> tuple[int, int]:
        """Position of the first item, and how many there are."""
        field = self.field(table, place)
        if field is None:
            return 0, 0
        start = field + self.number("I", field)
        count = self.number("I", start)
        if count > len(self.data) - start:
            raise struct.error(f"{count} items")
        return start + 4, count

    def tables(self, table: int, place: int) -> list[int]:
        start, count = self.vector(table, place)
        if count > MAX_ITEMS:
            raise struct.error(f"{count} tables")
        return [item + self.number("I", item) for item in range(start, start + 4 * count, 4)]

    def numbers(self, table: int, place: int, most: int = MAX_SIDES) -> tuple[int, ...]:
        start, count = self.vector(table, place)
        if count > most:
            raise struct.error(f"{count} numbers")
        return struct.unpack_from(f"<{count}i", self.data, start)

    def text(self, table: int, place: int) -> str:
        start, count = self.vector(table, place)
        return self.data[start : start + min(count, MAX_NAME)].decode("utf-8", "replace")

    def scalar(self, table: int, place: int, kind: str) -> int:
        field = self.field(table, place)
        return 0 if field is None else self.number(kind, field)


def _facts(path: Path, flat: _FlatBuffer) -> GraphFacts:
    graphs = flat.tables(flat.root, _SUBGRAPHS)
    if not graphs:
        raise _no_graph(path, "no graph in it")
    buffers = flat.tables(flat.root, _BUFFERS)
    elements = dict.fromkeys(Quantization, 0)
    for tensor in flat.tables(graphs[0], _TENSORS):
        count = prod(flat.numbers(tensor, _SHAPE))
        if count >= FEWEST_WEIGHTS and flat.field(buffers[flat.scalar(tensor, _BUFFER, "I")], 0) is not None:
            elements[_FORMATS.get(flat.scalar(tensor, _TYPE, "b"), Quantization.UNKNOWN)] += count
    metadata = literal_metadata(text_in_zip(path, "")) or yaml_beside(path)
    return GraphFacts(
        metadata=metadata,
        inputs=_specs(flat, graphs[0], _INPUTS),
        outputs=_specs(flat, graphs[0], _OUTPUTS),
        quantization=most_of(elements),
        unbounded=("several graphs in it, as loops have",) if len(graphs) > 1 else (),
    )


def _specs(flat: _FlatBuffer, graph: int, place: int) -> tuple[TensorSpec, ...]:
    tensors = flat.tables(graph, _TENSORS)
    return tuple(_spec(flat, tensors[index]) for index in flat.numbers(graph, place, MAX_ENDS))


def _spec(flat: _FlatBuffer, tensor: int) -> TensorSpec:
    sides = flat.numbers(tensor, _SIGNATURE) or flat.numbers(tensor, _SHAPE)
    shape = tuple(side if side > 0 else None for side in sides)
    return TensorSpec(flat.text(tensor, _NAME), shape, _DTYPES.get(flat.scalar(tensor, _TYPE, "b"), "unknown"))


def _no_graph(path: Path, found: str) -> CorruptedModelPackageError:
    return CorruptedModelPackageError(
        f"{path.name} is not a LiteRT graph.",
        needs=f"a complete FlatBuffer with {IDENTIFIER.decode()} at byte 4",
        found=found,
        fix="export or fetch the file again",
    )
