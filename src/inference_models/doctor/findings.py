"""The result of one examination."""

from __future__ import annotations

from inference_models.record import Record

GOOD, NOTE, BAD = "ok", "note", "problem"


class Finding(Record, frozen=True):
    """One examined fact, with its level and the command that mends it."""

    level: str
    """`ok`, `note` or `problem`."""
    what: str
    fix: str | None = None
    """The exact command that mends it."""
