"""The result of one examination."""

from __future__ import annotations

from dataclasses import dataclass

GOOD, NOTE, BAD = "ok", "note", "problem"


@dataclass(frozen=True)
class Finding:
    """One examined fact, with its level and the command that mends it."""

    level: str
    """`ok`, `note` or `problem`."""
    what: str
    fix: str | None = None
    """The exact command that mends it."""
