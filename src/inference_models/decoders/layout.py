"""Expected shapes of outputs, and the errors when a graph has others."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

from inference_models.errors import CorruptedModelPackageError
from inference_models.record import Record, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.arrays import Array
    from inference_models.decoders.types import Frame, Outputs, Shapes

OTHER_EXPORT = "name the architecture and task that this file was exported from, or export it again"


class Layout(Record, frozen=True):
    """Which outputs a decoder reads, and where the classes are."""

    needs: str
    """The outputs in words, for the error."""
    shapes: tuple[tuple[int | None, ...], ...]
    """Of each output that is read; None: any length. Further outputs are ignored."""
    class_axis: tuple[int, int] | None = None
    """(output, axis) that holds the classes; None: no axis does."""
    before_classes: int = 0
    """Entries of that axis before the first class."""
    words: tuple[tuple[str, ...], ...] = ()
    """Of each output that is read, parts of the names it may have. Empty: the order is fixed."""
    order: tuple[int, ...] = ()
    """Places of the outputs that are read, where names told them."""

    def named(self, names: Sequence[str]) -> Layout:
        """This layout in the order that the names of the outputs tell; as it is where they tell none."""
        low = [name.lower() for name in names[: len(self.shapes)]]
        found = [
            [place for place, name in enumerate(low) if any(map(name.__contains__, words))] for words in self.words
        ]
        order = tuple(place for places in found for place in places)
        unique = all(len(places) == 1 for places in found) and len(set(order)) == len(order)
        return replace(self, order=order) if unique else self

    def count_classes(self, shapes: Shapes) -> int | None:
        """Number of classes of a graph with outputs of these shapes; None when they do not say.

        Raises:
            CorruptedModelPackageError: it has another layout.
        """
        self.check(shapes)
        if self.class_axis is None:
            return None
        output, axis = self.class_axis
        lengths = {shapes[order[output]][axis] for order in self.orders(shapes)}
        length = lengths.pop() if len(lengths) == 1 else None
        return None if length is None else length - self.before_classes

    def check(self, shapes: Shapes) -> None:
        """Returns nothing when a graph with outputs of these shapes may have this layout.

        Raises:
            CorruptedModelPackageError: it has another one, or two outputs could be the boxes.
        """
        if not known(shapes):
            return
        orders = self.orders(shapes)
        if not orders:
            raise unexpected_outputs(self.needs, shapes)
        a_run_may_tell = any(None in shape[1:] for shape in shapes[: len(self.shapes)])
        if len({order[0] for order in orders}) > 1 and not a_run_may_tell:
            raise self._ambiguous(shapes)

    def select(self, outputs: Outputs) -> list[Array]:
        """The outputs that are read.

        Raises:
            CorruptedModelPackageError: one is missing or has another shape, or two could be the boxes.
        """
        shapes = [tuple(output.shape) for output in outputs]
        orders = self.orders(shapes)
        if not orders:
            raise unexpected_outputs(self.needs, shapes)
        if len({order[0] for order in orders}) > 1:
            raise self._ambiguous(shapes)
        return [outputs[place] for place in orders[0]]

    def _ambiguous(self, shapes: Shapes) -> CorruptedModelPackageError:
        return CorruptedModelPackageError(
            "neither shapes nor names tell which output of the graph holds the boxes.",
            needs=f"{self.needs}, with {' and '.join(repr(words[0]) for words in self.words)} in their names",
            found=", ".join(map(str, shapes)),
            fix="name the outputs when the graph is exported: output_names=[...]",
        )

    def orders(self, shapes: Shapes) -> list[tuple[int, ...]]:
        """The ways to take the first outputs as those that are read: that of the names, else all that shapes allow."""
        places = tuple(range(len(self.shapes)))
        orders = permutations(places) if self.words else [places]
        fitting = [order for order in orders if len(shapes) >= len(order) and self._fits([shapes[i] for i in order])]
        return [self.order] if self.order in fitting else fitting

    def _fits(self, shapes: Shapes) -> bool:
        for shape, wanted in zip(shapes, self.shapes, strict=True):
            if len(shape) != len(wanted):
                return False
            if not all(None in (length, need) or length == need for length, need in zip(shape, wanted, strict=True)):
                return False
        if self.class_axis is None:
            return True
        output, axis = self.class_axis
        length = shapes[output][axis]
        return length is None or length > self.before_classes


def known(shapes: Shapes) -> bool:
    """Whether the graph says how many axes each output has; some runtimes learn it from the first run."""
    return bool(shapes) and all(shapes)


def unexpected_outputs(needs: str, shapes: Shapes) -> CorruptedModelPackageError:
    """The error for outputs that another architecture would have."""
    return CorruptedModelPackageError(
        "the outputs of the graph do not have the layout of its architecture.",
        needs=needs,
        found=", ".join(str(tuple(shape)) for shape in shapes) or "no output",
        fix=OTHER_EXPORT,
    )


def refuse_row_count(found: int | None, *, needs: int, frame: Frame, strides: Sequence[int]) -> None:
    """Raise when an output does not have one row per grid cell of the frame; None: it does not say.

    Raises:
        CorruptedModelPackageError: the numbers differ.
    """
    if found in {None, needs}:
        return
    height, width = frame
    raise CorruptedModelPackageError(
        f"the output of the graph does not fit an input of {height}x{width} pixels (height x width).",
        needs=f"{needs} rows for stride {', '.join(map(str, strides))}",
        found=f"{found} rows",
        fix=OTHER_EXPORT,
    )


def refuse_class_id(largest: int, *, thresholds: int) -> None:
    """Raise when a graph reports a class that has no threshold of its own.

    Raises:
        CorruptedModelPackageError: `largest` is beyond the thresholds.
    """
    if largest < thresholds:
        return
    raise CorruptedModelPackageError(
        f"the graph reports class {largest}, and there are thresholds for {thresholds} classes only.",
        needs=f"class ids from 0 to {thresholds - 1}",
        found=str(largest),
        fix="give one label for every class of the graph.",
    )
