"""Lines of reports: a column of names, a column of texts, never wider than the terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from inference_models.text import plain, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

WIDTH = 100
"""Columns where no terminal says how wide it is."""
NARROWEST = 60
"""Columns below which texts are not wrapped any further."""
NAME_COLUMN = 15


def one_line(text: object) -> str:
    """`text` on one line, with nothing in it that could steer a terminal."""
    return printable(" ".join(str(text).split()))


def size_text(size: int) -> str:
    """`size` bytes as people read them: `7.3 MB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        # A number that would be rounded up to the next unit is already told in that one.
        if size >= factor * 0.99995:
            return f"{size / factor:,.1f} {unit}"
    return "1 byte" if size == 1 else f"{size} bytes"


def wrapped(text: str, *, width: int, indent: int = 0, hanging: int = 0) -> list[str]:
    """`text` as lines of at most `width` columns, those after the first `hanging` columns further in.

    Words are never broken: a path or a file name can be copied as it stands.
    """
    return textwrap.wrap(
        one_line(text),
        max(width, NARROWEST),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )


def named(name: str, lines: Iterable[str], *, column: int = NAME_COLUMN) -> list[str]:
    """`lines`, which are indented already, with `name` in the indentation of the first, or above it when too long."""
    first, *rest = [*lines] or [""]
    name = one_line(name)
    if len(name) + 2 > column:
        return [f"  {name}", *([first] if first.strip() else []), *rest]
    return [f"  {name:<{column}}{first.strip()}".rstrip(), *rest]


def fact(name: str, value: object, *, width: int) -> list[str]:
    """A name and a text beside it."""
    return named(name, wrapped(str(value), width=width, indent=NAME_COLUMN + 2))


def print_lines(lines: Iterable[str], console: Console) -> None:
    """Print lines as they are, the first of them as a headline."""
    for index, line in enumerate(lines):
        console.print(plain(line), style="bold" if index == 0 else None, soft_wrap=True)
