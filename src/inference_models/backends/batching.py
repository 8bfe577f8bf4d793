"""Batches of any length through a graph that takes batches of its own: written once for every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.arrays import device_of, namespace
from inference_models.errors import CorruptedModelPackageError
from inference_models.record import Record

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.backends.session import Session


class BatchLimits(Record, frozen=True):
    """Batch sizes a graph takes."""

    smallest: int = 1
    largest: int | None = None
    """None: any."""

    @classmethod
    def of(cls, session: Session, *, largest_dynamic: int | None = None) -> BatchLimits:
        """Limits of a session's first input: its static batch, else 1 up to `largest_dynamic`."""
        static = session.inputs[0].shape[0]
        return cls(static, static) if static is not None else cls(1, largest_dynamic)


def run_in_batches(session: Session, batch: Array, limits: BatchLimits) -> list[Array]:
    """Outputs in the order of the graph for `batch` (B, ...), whatever B is.

    Longer batches are split, shorter ones filled with zeros; the filling is cut off again.
    """
    name = session.inputs[0].name
    count = batch.shape[0]
    if limits.smallest <= count <= (limits.largest or count):
        return _outputs(session, name, batch)
    size = limits.largest or count
    pieces = [batch[start : start + size] for start in range(0, count, size)]
    parts = [_run_part(session, name, piece, limits.smallest) for piece in pieces]
    xp = namespace(parts[0][0])
    return [xp.concat([part[index] for part in parts]) for index in range(len(parts[0]))]


def _run_part(session: Session, name: str, part: Array, smallest: int) -> list[Array]:
    count = part.shape[0]
    if count < smallest:
        xp = namespace(part)
        filling = xp.zeros((smallest - count, *part.shape[1:]), dtype=part.dtype, device=device_of(part))
        part = xp.concat([part, filling])
    return [output[:count] for output in _outputs(session, name, part)]


def _outputs(session: Session, name: str, batch: Array) -> list[Array]:
    outputs = list(session.run({name: batch}).values())
    for spec, output in zip(session.outputs, outputs, strict=True):
        if len(output.shape) == 0 or output.shape[0] != batch.shape[0]:
            raise CorruptedModelPackageError(
                f"output {spec.name!r} does not answer every image of a batch.",
                needs=f"{batch.shape[0]} rows for {batch.shape[0]} images",
                found=f"shape {tuple(output.shape)}",
                fix="export the graph with a batch of 1, or with a batch that all of it follows",
            )
    return outputs
