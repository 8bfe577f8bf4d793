"""Reads an OpenVINO graph without the runtime: shapes and number format; metadata from the file beside it."""

from __future__ import annotations

import mmap
import re
from typing import TYPE_CHECKING

from inference_models.arrays import TensorSpec
from inference_models.entities import Quantization
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.exporter_texts import yaml_beside
from inference_models.package.graph_facts import FEWEST_WEIGHTS, GraphFacts, most_of
from inference_models.package.text_files import removed

if TYPE_CHECKING:
    from pathlib import Path

MAX_DEPTH = 200
"""Elements inside elements. A graph has 6, and 5 more for each loop in a loop."""
_IR_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}\?>)?\s*<net\s")
MAX_TAGS = 4_000_000
"""A graph of 10 000 layers has about 300 000; this many take two seconds."""
_LAYER = re.compile(rb'<layer ([^<>]{0,4000})type="(Parameter|Result|Const)"[^<>]{0,200}>')
_END, _LONGEST = b"</layer>", 4000
_NAME = re.compile(rb'name="([^"]*)"')
_DIM = re.compile(rb"<dim>(-?\d{1,18})</dim>")
_VALUES = re.compile(rb'element_type="(\w+)"[^<>]{0,300}?size="(\d{1,18})"')
_LARGE = re.compile(rb"<dim>\d{9,}</dim>")
_REPEATS = re.compile(rb'type="(Loop|TensorIterator)"')
_TAG = re.compile(rb"<(/?)[A-Za-z_][^<>]*?(/?)>")
_FORMATS = {b"f32": Quantization.FP32, b"f16": Quantization.FP16, b"bf16": Quantization.BF16}
_WIDE = {b"f64", b"i64", b"i32", b"u64", b"u32", b"i16", b"u16", b"boolean", b"string"}
"""Element types of constants that are neither weights nor of few bits."""


def read_graph(path: Path) -> GraphFacts:
    """The facts about the graph in an `.xml` file.

    Raises:
        CorruptedModelPackageError: the file is gone, empty, no OpenVINO graph, or nested without end.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(1024)
            if not _IR_START.match(start):
                raise _no_graph(path, ascii(start[:20])[1:] if start else "an empty file")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _facts(path, data)
    except FileNotFoundError as exc:
        raise removed(path.name) from exc


def _facts(path: Path, data: mmap.mmap) -> GraphFacts:
    depth = deepest = 0
    for count, tag in enumerate(_TAG.finditer(data)):
        if count == MAX_TAGS:
            raise _no_graph(path, f"more than {MAX_TAGS} tags")
        depth += -1 if tag[1] else 0 if tag[2] else 1
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise _no_graph(path, f"{deepest} elements inside each other")
    specs: dict[bytes, list[TensorSpec]] = {b"Parameter": [], b"Result": []}
    sizes = dict.fromkeys(Quantization, 0)
    for layer in _LAYER.finditer(data):
        end = data.find(_END, layer.end(), layer.end() + _LONGEST)
        if end < 0:
            continue
        inside = data[layer.end() : end]
        if layer[2] == b"Const":
            values = _VALUES.search(inside)
            if values and int(values[2]) >= FEWEST_WEIGHTS * 4 and values[1] not in _WIDE:
                sizes[_FORMATS.get(values[1], Quantization.INT8)] += int(values[2])
            continue
        name = _NAME.search(layer[1])
        sides = tuple(int(side) if int(side) > 0 else None for side in _DIM.findall(inside))
        specs[layer[2]].append(TensorSpec(name[1].decode("utf-8", "replace") if name else "", sides, "float32"))
    quantised = data.find(b'type="FakeQuantize"') >= 0
    large = ("a tensor of 10^8 and more on one side",) if _LARGE.search(data) else ()
    return GraphFacts(
        metadata=yaml_beside(path),
        inputs=tuple(specs[b"Parameter"]),
        outputs=tuple(specs[b"Result"]),
        quantization=Quantization.INT8 if quantised else most_of(sizes),
        unbounded=(*large, *sorted({found[1].decode() for found in _REPEATS.finditer(data)})),
    )


def _no_graph(path: Path, found: str) -> CorruptedModelPackageError:
    return CorruptedModelPackageError(
        f"{path.name} is not an OpenVINO graph.",
        needs="XML that begins with <net>",
        found=found,
        fix="export or fetch the file again",
    )
