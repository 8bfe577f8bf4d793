"""What the doctor says about one thing it looked at."""

from __future__ import annotations

from dataclasses import dataclass

GOOD, NOTE, BAD = "ok", "note", "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    level: str
    """`ok`, `note` or `problem`."""
    what: str
    fix: str | None = None
    """The exact command that mends it."""
