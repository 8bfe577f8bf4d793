"""What the operators and tensors of an ONNX graph tell before a runtime opens it: number format, and what it may cost.

Runtimes copy local functions into the graph, compute what is constant while they open it, and allocate what operators
such as `Expand` are told to: a few bytes can ask for hours or terabytes. Sizes that are small constants are harmless,
as are those of nearly every exported network; what else there is has to be tried, see `loading.trial`.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect
from math import prod
from typing import TYPE_CHECKING

from inference_models.entities import Quantization
from inference_models.package.graph_facts import most_of
from inference_models.package.onnx_wire import DTYPES, MAX_DEPTH, WireError, WireReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from inference_models.package.onnx_wire import Message

MAX_NODES = 1_000_000
"""Of a graph whose local functions are written out."""
MAX_ELEMENTS = 1 << 28
"""Numbers in a tensor of a size that the file states itself: 1 GB of float32."""
_SIZES = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "OneHot": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Resize": (1, 2, 3),
    "Tile": (1,),
    "Upsample": (1,),
}
"""Operators whose answer is as large as numbers in their input say, and the places of these."""
_REPEATS = {"Loop", "Scan", "SequenceMap"}
_ALLOCATES = {"BlackmanWindow", "EyeLike", "HammingWindow", "HannWindow", "MelWeightMatrix", "RandomNormal"}
_ALLOCATES |= {"RandomUniform"}
_MAY_GROW = {"Concat", *_REPEATS, *_ALLOCATES, *_SIZES}
_FORMATS = {1: "f", 6: "i", 7: "q", 10: "e", 11: "d"}
"""Element types of sizes, as `struct` calls them."""
_LAST_OF_RANGE = 2
_LOOKS = 20
"""For a name, which may be part of others."""
_NUMBER_FORMATS = {
    "bfloat16": Quantization.BF16,
    "float16": Quantization.FP16,
    "float32": Quantization.FP32,
    "int8": Quantization.INT8,
    "uint8": Quantization.INT8,
}
_LITTLE = frozenset(range(17, 32))
"""Element types of 8 bits and fewer that no operator but those of quantised graphs knows: float8, int4, uint4 ..."""
_FEW_BITS = re.compile(r"[Qq]uant|QLinear|^Q[A-Z]|NBits|Bnb4|Q4$|(MatMul|Conv)Integer")
"""Operators of quantised graphs, those of ONNX Runtime's own domain included."""


def examine_operators(model: Message, reader: WireReader) -> tuple[Quantization, tuple[str, ...], tuple[str, ...]]:
    """The number format of most weights, the operators whose work no small constant bounds, and what is known to lie.

    The operators, and the names of the faults of runtimes, are sorted. The format is `INT8` where the graph computes in
    so few bits, or stores them so.

    Raises:
        WireError: its local functions make more than `MAX_NODES` nodes, or call themselves.
    """
    if "functions" in model:
        _check_functions(reader)
    sizes = dict.fromkeys(Quantization, 0)
    for number, elements in reader.weights.items():
        sizes[_NUMBER_FORMATS.get(DTYPES.get(number, ""), Quantization.UNKNOWN)] += elements
    few_bits, found, reduced = bool(_LITTLE & reader.weights.keys()), set(), []
    tensors: dict[str, Message] = {}
    for holder in (*model.get("graph", ()), *model.get("functions", ())):
        tensors |= {name: tensor for tensor in holder.get("initializer", ()) for name in tensor.get("name", ())}
        if any(prod(item.get("dims", ())) > MAX_ELEMENTS for item in holder.get("sparse_initializer", ())):
            found.add("a sparse tensor")
        for node in _nodes(holder, tensors):
            (kind,) = node.get("op_type", [""])[-1:]
            few_bits = few_bits or _FEW_BITS.search(kind) is not None
            if kind in _MAY_GROW and not _is_bounded(kind, node, tensors, reader):
                found.add(kind)
            several = any(len(item.get("ints", ())) > 1 for item in node.get("attribute", ()))
            if kind.startswith("Reduce") and not several:  # nothing is known against those over several axes
                reduced.append(node)
    faults = _faults(reduced, tensors, reader) if reduced else ()
    return Quantization.INT8 if few_bits else most_of(sizes), tuple(sorted(found)), faults


def _faults(reduced: list[Message], tensors: Mapping[str, Message], reader: WireReader) -> tuple[str, ...]:
    from inference_models.package.operator_faults import find_faults  # noqa: PLC0415 - few graphs reduce anything

    def axes_of(node: Message) -> Sequence[float] | None:
        for item in node.get("attribute", ()):
            if item.get("name") == ["axes"]:
                axes: list[float] | None = item.get("ints")
                return axes
        inputs = node.get("input", [])
        return _values(inputs[1], tensors, reader) if len(inputs) > 1 else None

    return find_faults(reduced, reader, axes_of, tensors)


def _check_functions(reader: WireReader) -> None:
    model = WireReader(reader.data).message("Calls", 0, len(reader.data))
    bodies = {_key(function, "name"): function for function in model.get("functions", ())}
    known: dict[tuple[str, str], int] = {}

    def nodes_of(calls: Message, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise WireError(f"more than {MAX_DEPTH} functions inside each other", 0)
        return sum(written_out(call, depth) for call in calls.get("node", ()))

    def written_out(call: Message, depth: int) -> int:
        key = _key(call, "op_type")
        if key in bodies and key not in known:
            known[key] = nodes_of(bodies[key], depth + 1)
        inner = (
            graph for item in call.get("attribute", ()) for name in ("g", "graphs") for graph in item.get(name, ())
        )
        return known.get(key, 1) + sum(nodes_of(graph, depth + 1) for graph in inner)

    count = sum(nodes_of(graph, 1) for graph in model.get("graph", ()))
    if count > MAX_NODES:
        raise WireError(f"local functions that make {count} nodes of the graph", 0)


def _key(message: Message, name: str) -> tuple[str, str]:
    return (message.get("domain") or [""])[-1], (message.get(name) or [""])[-1]


def _is_bounded(kind: str, node: Message, tensors: Mapping[str, Message], reader: WireReader) -> bool:
    inputs: list[str] = node.get("input", [])
    if kind == "Concat":
        return len(set(inputs)) == len(inputs)
    if kind in _REPEATS or kind in _ALLOCATES:
        return False
    attributes = {name: item for item in node.get("attribute", ()) for name in item.get("name", ())}
    if len(inputs) == 1 and kind in {"Pad", "Upsample"}:  # sizes were attributes in old operator sets
        sizes = attributes.get("pads", {}).get("ints")
        return sizes is not None and _is_small(sizes)
    values = [_values(name, tensors, reader) for place in _SIZES[kind] for name in inputs[place : place + 1] if name]
    known = [value for value in values if value is not None]
    if kind == "Range" and any(0 < abs(step) < 1 for value in known[_LAST_OF_RANGE:] for step in value):
        return False
    # A window of interest, which may take the place of scales in `Resize`, is as long as them, and small.
    return len(known) == len(values) and all(map(_is_small, known))


def _is_small(sizes: Sequence[float]) -> bool:
    return prod(max(abs(size), 1) for size in sizes) <= MAX_ELEMENTS


def _values(name: str, tensors: Mapping[str, Message], reader: WireReader) -> Sequence[float] | None:
    """The numbers in a small constant; None: it is computed, or large."""
    tensor = tensors.get(name) or _constant(name, reader)
    if tensor is None:
        return None
    if tensor.get("int64_data"):
        return list(tensor["int64_data"])
    kind = _FORMATS.get((tensor.get("data_type") or [0])[-1])
    spans = tensor.get("raw_data") or tensor.get("float_data")
    if kind is None or not spans:
        return () if prod(tensor.get("dims", ())) == 0 else None
    start, stop = spans[-1]
    if stop - start > 512 or (stop - start) % struct.calcsize(kind):
        return None
    return [value for (value,) in struct.iter_unpack(f"<{kind}", reader.data[start:stop])]


def _constant(name: str, reader: WireReader) -> Message | None:
    """The tensor of the node `Constant` whose output has that name."""
    encoded = name.encode("utf-8", "backslashreplace")
    if len(encoded) > 127 or not reader.nodes:
        return None
    sought, place = b"\x12" + bytes([len(encoded)]) + encoded, -1
    for _ in range(_LOOKS):
        place = reader.data.find(sought, place + 1, reader.nodes[-1][1])
        index = bisect(reader.nodes, (place, reader.nodes[-1][1])) - 1
        if place < 0:
            return None
        if index >= 0 and place < reader.nodes[index][1]:
            node = reader.message("Node", *reader.nodes[index])
            values = (tensor for attribute in node.get("attribute", ()) for tensor in attribute.get("t", ()))
            if node.get("output") == [name]:
                return next(values, None) if node.get("op_type") == ["Constant"] else None
    return None


def _nodes(graph: Message, tensors: dict[str, Message]) -> Iterator[Message]:
    """The nodes of a graph and of what is inside them, as far as they were read; adds the constants on the way."""
    for node in graph.get("node", ()):
        yield node
        attributes = node.get("attribute", ())
        for inner in (graph for item in attributes for kind in ("g", "graphs") for graph in item.get(kind, ())):
            tensors |= {name: tensor for tensor in inner.get("initializer", ()) for name in tensor.get("name", ())}
            yield from _nodes(inner, tensors)
