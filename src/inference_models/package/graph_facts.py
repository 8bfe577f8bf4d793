"""Facts about a graph of any format, read from its files without a runtime: metadata, shapes, number format."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from inference_models.entities import Quantization
from inference_models.package.formats import FORMATS
from inference_models.package.preprocess_spec import Size  # noqa: TC001 - read by msgspec
from inference_models.package.text_files import convert, parse_json_object
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference_models.arrays import TensorSpec
    from inference_models.entities import BackendType

FEWEST_WEIGHTS = 16
"""Tensors with fewer elements are no weights but sizes, scales and the like."""


HINTS = "graph_hints.json"
"""What a bare graph says about its input, in a package; of a bare file it exists in memory only."""


class InputHints(Record, frozen=True):
    """What a bare graph says about its input besides its shape."""

    input_size: Size | None = None
    """(height, width) it was exported for."""
    stride: int | None = None
    only: bool = False
    """Whether it is opened for that size, or the usual one of its family, and no other."""


def parse_hints(text: str) -> InputHints:
    """The hints in a small JSON text.

    Raises:
        CorruptedModelPackageError: it holds something else.
    """
    return convert(InputHints, parse_json_object(text, where=HINTS), where=HINTS)


class GraphFacts(Record, frozen=True, kw_only=True):
    """What a file says; empty where it says nothing."""

    metadata: Mapping[str, str]
    """What the exporter left, for example `names` and `task`."""
    inputs: tuple[TensorSpec, ...] = ()
    """What a run must be given."""
    outputs: tuple[TensorSpec, ...] = ()
    quantization: Quantization = Quantization.UNKNOWN
    """The number format of its weights; `INT8` for any format of so few bits, whatever computes in it."""
    unbounded: tuple[str, ...] = ()
    """Operators whose work or memory no small constant of the file bounds."""
    faults: tuple[str, ...] = ()
    """What it has that a release of a runtime gets wrong, by the names of `operator_faults`."""


def read_graph(kind: BackendType, path: Path) -> GraphFacts | None:
    """The facts about the graph in a file; None where nobody here reads its format.

    Raises:
        CorruptedModelPackageError: the file is gone, or no graph of that format.
    """
    if kind not in FORMATS:
        return None
    facts: GraphFacts = import_module(f"{__package__}.{FORMATS[kind].reader}").read_graph(path)
    return facts


def most_of(elements: Mapping[Quantization, int]) -> Quantization:
    """The number format of most weights."""
    known = {kind: count for kind, count in elements.items() if kind is not Quantization.UNKNOWN and count}
    return max(known, key=lambda kind: known[kind], default=Quantization.UNKNOWN)
