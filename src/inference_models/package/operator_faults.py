"""Operators that a release of a runtime is known to compute wrongly: a table, and whether a graph has them.

Each entry of `operator_faults.json` says the runtime and its versions, the pattern, and the test that reproduces it: it
fails with the release that mends the fault, and says so. Found in ONNX graphs; nothing looks for them in other formats.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from packaging.specifiers import SpecifierSet

from inference_models.entities import BackendType
from inference_models.files.prepared import prepared
from inference_models.package.onnx_wire import WireReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from packaging.version import Version

    from inference_models.package.onnx_wire import Message

TABLE = Path(__file__).with_suffix(".json")


class OperatorFault(msgspec.Struct, frozen=True):
    """A reduction followed by arithmetic, which a runtime gets wrong."""

    name: str
    runtime: BackendType
    versions: str
    """As pip writes them."""
    operators: tuple[str, ...]
    axes: tuple[tuple[int, ...], ...]
    """Over which it reduces, in any of these ways."""
    rank: int
    """Of what it reduces; a graph that does not say it may have it."""
    then: tuple[str, ...]
    constant_of_several: bool
    """Whether the other operand is a constant of more than one number."""
    right_for_one: bool
    """Whether a batch of one gets the right answer."""
    what: str
    reproduction: str
    """The test that shows it."""

    def is_in(self, version: Version) -> bool:
        """Whether that release has it."""
        return version in SpecifierSet(self.versions, prereleases=True)


@cache
def known_faults() -> tuple[OperatorFault, ...]:
    """The table."""
    return msgspec.json.decode(TABLE.read_bytes(), type=prepared(tuple[OperatorFault, ...]))


def fault_of(
    names: Iterable[str], runtime: BackendType, version: Version | None, static_batch: int | None
) -> OperatorFault | None:
    """The first of the faults in `names` that a runtime has, for batches of that size (None: of any)."""
    for fault in known_faults():
        one = static_batch == 1 and fault.right_for_one
        if (
            fault.name in names
            and fault.runtime is runtime
            and version is not None
            and fault.is_in(version)
            and not one
        ):
            return fault
    return None


def find_faults(
    reduced: Sequence[Message],
    data: WireReader,
    axes_of: Callable[[Message], Sequence[float] | None],
    constants: Mapping[str, Message],
) -> tuple[str, ...]:
    """Names of the faults whose pattern a graph has, sorted.

    Args:
        reduced: Its nodes whose operator begins with `Reduce`.
        data: What read it.
        axes_of: Over which axes a node reduces; None: that is computed, or all.
        constants: Its stored tensors by name.
    """
    suspects = [
        (node["output"][0], node["input"][0], fault)
        for node in reduced
        for fault in known_faults()
        if node.get("op_type", [""])[-1] in fault.operators
        and node.get("input")
        and node.get("output")
        and tuple(axes_of(node) or ()) in fault.axes
    ]
    if not suspects:
        return ()
    reader = WireReader(data.data)
    nodes = [reader.message("Node", *span) for span in tuple(data.nodes)]
    ranks = _ranks(WireReader(data.data))
    stored = {**constants, **_constant_nodes(nodes)}
    return tuple(
        sorted(
            {
                fault.name
                for output, source, fault in suspects
                if ranks.get(source, fault.rank) == fault.rank
                and any(_follows(node, output, fault, stored) for node in nodes)
            }
        )
    )


def _follows(node: Message, output: str, fault: OperatorFault, constants: Mapping[str, Message]) -> bool:
    inputs = node.get("input", ())
    if node.get("op_type", [""])[-1] not in fault.then or output not in inputs:
        return False
    sizes = [constants[name].get("dims", ()) for name in inputs if name in constants]
    return not fault.constant_of_several or any(max(size, default=1) > 1 for size in sizes)


def _constant_nodes(nodes: Iterable[Message]) -> dict[str, Message]:
    return {
        node["output"][0]: tensor
        for node in nodes
        if node.get("op_type") == ["Constant"] and node.get("output")
        for attribute in node.get("attribute", ())
        for tensor in attribute.get("t", ())
    }


def _ranks(reader: WireReader) -> dict[str, int]:
    """How many axes the arrays of a graph have, as far as it says."""
    ranks = {}
    for graph in reader.message("Shapes", 0, len(reader.data)).get("graph", ()):
        for value in (*graph.get("input", ()), *graph.get("value_info", ())):
            for kind in value.get("type", ()):
                for tensor in kind.get("tensor_type", ()):
                    for shape in tensor.get("shape", ()):
                        ranks[value["name"][-1]] = len(shape.get("dim", ()))
    return ranks
