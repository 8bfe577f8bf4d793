"""Nearest known name for a misspelt one, and the sentence that says so."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from inference_models.errors import UnknownOptionError

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest_names(name: str, known: Iterable[str], *, limit: int = 2) -> list[str]:
    """The known names most like `name`, best first, at most `limit` of them."""
    by_folded = {candidate.casefold(): candidate for candidate in sorted(known)}
    matches = difflib.get_close_matches(name.casefold(), by_folded, n=limit, cutoff=0.6)
    return [by_folded[match] for match in matches]


def nearest_hint(name: str, known: Iterable[str], *, limit: int = 2) -> str:
    """`nearest: 'a', 'b'`, or `known: ...` when nothing is near."""
    known = sorted(known)
    near = nearest_names(name, known, limit=limit)
    if near:
        return "nearest: " + ", ".join(repr(item) for item in near)
    return "known: " + (", ".join(repr(item) for item in known) or "none")


def refuse_unknown_options(given: Iterable[str], known: Iterable[str], *, where: str) -> None:
    """Raise for the first name in `given` that is not in `known`.

    Raises:
        UnknownOptionError: names the option, the place and the nearest known option.
    """
    allowed = frozenset(known)
    for name in given:
        if name not in allowed:
            raise UnknownOptionError(f"{where} has no option {name!r}; {nearest_hint(name, allowed)}.")
