"""Reads messages of `onnx.proto` in the protobuf wire format: what is asked for, in bounded time, but no weights."""

from __future__ import annotations

import re
from collections import Counter
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

from inference_models.record import Record

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator, Mapping

Buffer: TypeAlias = "bytes | bytearray | mmap.mmap"
Message: TypeAlias = "dict[str, list[Any]]"
"""The fields of a message that `MESSAGES` names, each with all its values in the order of the file."""
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_FIELDS = 1_000_000
"""Of one file. A graph of 100 000 weights has about 500 000; this many take about a second."""
MAX_DEPTH = 100
"""Messages inside messages; protobuf's own readers stop at the same depth."""
_MAX_NUMBER = (1 << 29) - 1
_DTYPES = (
    "float32 uint8 int8 uint16 int16 int32 int64 str bool float16 float64 uint32 uint64 complex64 complex128 bfloat16"
)
DTYPES = dict(enumerate(_DTYPES.split(), start=1))
"""ONNX element types by number, as NumPy names."""

MESSAGES: Mapping[str, Mapping[int, tuple[str, str]]] = {
    "Model": {
        7: ("graph", "Graph"),
        8: ("opset_import", "OperatorSet"),
        14: ("metadata_props", "Entry"),
        20: ("training_info", "Training"),
        25: ("functions", "Function"),
    },
    "Calls": {7: ("graph", "CallingGraph"), 25: ("functions", "CallingFunction")},
    "CallingGraph": {1: ("node", "Call")},
    "CallingFunction": {1: ("name", "text"), 7: ("node", "Call"), 10: ("domain", "text")},
    "Call": {4: ("op_type", "text"), 5: ("attribute", "CallAttribute"), 7: ("domain", "text")},
    "CallAttribute": {6: ("g", "CallingGraph"), 11: ("graphs", "CallingGraph")},
    "Graph": {
        1: ("node", "Node"),
        5: ("initializer", "Tensor"),
        11: ("input", "Value"),
        12: ("output", "Value"),
        15: ("sparse_initializer", "SparseTensor"),
    },
    "Named": {7: ("graph", "NamedGraph")},
    "NamedGraph": {1: ("node", "NamedNode")},
    "NamedNode": {1: ("input", "text"), 2: ("output", "text"), 3: ("name", "text"), 4: ("op_type", "text")},
    "Shapes": {7: ("graph", "ShapedGraph")},
    "ShapedGraph": {11: ("input", "Value"), 13: ("value_info", "Value")},
    "Training": {1: ("initialization", "Graph"), 2: ("algorithm", "Graph")},
    "Function": {1: ("name", "text"), 7: ("node", "Node"), 11: ("attribute_proto", "Attribute")},
    "Node": {1: ("input", "text"), 2: ("output", "text"), 4: ("op_type", "text"), 5: ("attribute", "Attribute")},
    "Attribute": {
        1: ("name", "text"),
        5: ("t", "Tensor"),
        6: ("g", "Graph"),
        8: ("ints", "numbers"),
        10: ("tensors", "Tensor"),
        11: ("graphs", "Graph"),
        22: ("sparse_tensor", "SparseTensor"),
        23: ("sparse_tensors", "SparseTensor"),
    },
    "Tensor": {
        1: ("dims", "numbers"),
        2: ("data_type", "number"),
        4: ("float_data", "span"),
        7: ("int64_data", "numbers"),
        8: ("name", "text"),
        9: ("raw_data", "span"),
        13: ("external_data", "Entry"),
        14: ("data_location", "number"),
    },
    "SparseTensor": {1: ("values", "Tensor"), 2: ("indices", "Tensor"), 3: ("dims", "numbers")},
    "Value": {1: ("name", "text"), 2: ("type", "Type")},
    "Type": {1: ("tensor_type", "TensorType")},
    "TensorType": {1: ("elem_type", "number"), 2: ("shape", "Shape")},
    "Shape": {1: ("dim", "Dimension")},
    "Dimension": {1: ("dim_value", "number"), 2: ("dim_param", "text")},
    "OperatorSet": {1: ("domain", "text"), 2: ("version", "number")},
    "Entry": {1: ("key", "text"), 2: ("value", "text")},
}
"""As in `onnx.proto`: message -> field number -> name and type, for what is collected and for every way to a tensor."""
_TELLING = re.compile(
    rb"location|Loop|Scan|Range|Resize|Upsample|Expand|Tile|Pad|OfShape|OneHot|Concat|EyeLike|Random|Window|Weight|Sequence"
    rb"|Reduce|[Qq]uant|QLinear|QAtt|QGemm|QOrdered|QEmbed|QMoE|NBits|Bnb4|Q4|Integer"
)
"""In the bytes of every node that says where values are, how much it allocates, that it computes in few bits, or what
runtimes are known to get wrong."""
_WEIGHTS = 16
"""Tensors with fewer elements are no weights but sizes, scales and the like."""
_MAX_SIDES = 64
_PACKED = 512
"""Bytes of lists of numbers that are read; longer ones are values and no sizes."""


class WireError(ValueError):
    """Bytes that are not a message; the position in its text counts from the start of the file."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} at byte {position}")


class ExternalTensor(Record, frozen=True):
    """A tensor whose values lie in another file."""

    name: str
    position: int
    """Byte position of the tensor in the ONNX file."""
    entries: tuple[tuple[str, str], ...]
    """`location`, `offset`, `length`, `checksum` as the file says them, in its order."""


class WireReader:
    """Reads messages in the protobuf wire format. Counts fields, so that hostile files end in bounded time."""

    def __init__(self, data: Buffer) -> None:
        self.data = data
        self.external: list[ExternalTensor] = []
        """Those in the messages that were read."""
        self.weights: Counter[int] = Counter()
        """Elements of the tensors that were read, by element type."""
        self.nodes: list[tuple[int, int]] = []
        """Where the nodes lie that were met, in the order of the file."""
        self._left = MAX_FIELDS

    def message(self, kind: str, start: int, end: int, depth: int = 1) -> Message:
        """What the message of `kind` in [start, end) holds, of what `MESSAGES` names.

        Raises:
            WireError: it is damaged, or messages are nested too deeply.
        """
        if depth > MAX_DEPTH:
            raise WireError(f"more than {MAX_DEPTH} messages inside each other", start)
        known = MESSAGES[kind]
        found: Message = {}
        for number, wire, _, value, stop in self.fields(start, end):
            name, type_ = known.get(number, ("", ""))
            if not name or (wire != VARINT if type_ == "number" else wire != BYTES and type_ != "numbers"):
                continue
            if type_ == "Node":
                self.nodes.append((value, stop))
                if _TELLING.search(self.data, value, stop) is None:
                    continue  # nodes are most of a graph, and nothing in this one is asked for
            found.setdefault(name, []).extend(self._items(type_, wire, value, stop, depth))
        if kind == "Tensor":
            self._note_tensor(found, start, end)
        return found

    def _note_tensor(self, found: Message, start: int, end: int) -> None:
        dims = found.get("dims", ())
        if len(dims) > _MAX_SIDES:
            raise WireError(f"a tensor of {len(dims)} sides", start)
        elements = prod(dims)
        if elements >= _WEIGHTS:
            self.weights[(found.get("data_type") or [0])[-1]] += elements
        # Either sign alone is enough: readers differ in which one they follow.
        if "external_data" in found or any(found.get("data_location", ())):
            entries = tuple(map(pair, found.get("external_data", ())))
            self.external.append(ExternalTensor((found.get("name") or [""])[-1], start, entries))
        elif elements > 8 * (end - start):
            raise WireError(f"a tensor of {elements} numbers in {end - start} bytes", start)

    def _items(self, type_: str, wire: int, value: int, stop: int, depth: int) -> list[Any]:
        """What one field holds: one value, or those of a packed list of numbers."""
        if wire == VARINT:
            return [value - (1 << 64) if value >> 63 else value]
        if type_ == "text":
            return [self.data[value:stop].decode("utf-8", "backslashreplace")]
        if type_ == "span":
            return [(value, stop)]
        if type_ != "numbers":
            return [self.message(type_, value, stop, depth + 1)]
        numbers, position = [], value
        while position < stop <= value + _PACKED:
            number, position = self._varint(position, stop)
            numbers.append(number - (1 << 64) if number >> 63 else number)
        return numbers

    def fields(self, position: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
        """(number, wire type, start of the tag, start of the content, its end) of every field in [position, end).

        For a `VARINT` its value stands in place of the start of the content.

        Raises:
            WireError: these bytes are not a message.
        """
        data = self.data
        while position < end:
            self._left -= 1
            if self._left < 0:
                raise WireError(f"more than {MAX_FIELDS} fields", position)
            tag_start = position
            # Numbers below 128, nearly all of them, are read here: a call for each would take half of the time.
            tag, position = data[position], position + 1
            if tag > 0x7F:
                tag, position = self._varint(tag_start, end)
            number, kind = tag >> 3, tag & 7
            if not 1 <= number <= _MAX_NUMBER:
                raise WireError("an impossible field number", tag_start)
            if kind in (VARINT, BYTES):
                start, value = position, data[position] if position < end else 0x80
                position += 1
                if value > 0x7F:
                    value, position = self._varint(start, end)
            elif kind in (FIXED64, FIXED32):
                start, value = position, 8 if kind == FIXED64 else 4
            else:
                raise WireError(f"a field of unknown kind {kind}", position)
            if kind == VARINT:
                yield number, kind, tag_start, value, position
                continue
            if value > end - position:
                raise WireError(f"a field of {value} bytes where {end - position} are left", start)
            yield number, kind, tag_start, position, position + value
            position += value

    def _varint(self, begin: int, end: int) -> tuple[int, int]:
        """The unsigned number at `begin`, and the position behind it."""
        value = 0
        for index, position in enumerate(range(begin, min(end, begin + 10))):
            byte = self.data[position]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, position + 1
        if begin + 10 <= end:
            raise WireError("a number of more than 64 bits", begin)
        raise WireError("the end of the data inside a number", begin)


def pair(entry: Message) -> tuple[str, str]:
    """Key and value of an entry."""
    return (entry.get("key") or [""])[-1], (entry.get("value") or [""])[-1]
