"""Text of strangers on a terminal: shown as it is, never obeyed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text


def printable(text: str) -> str:
    """`text` with characters that could steer a terminal written out; line feeds stay."""
    return "".join(
        character if character == "\n" or character.isprintable() else ascii(character)[1:-1] for character in text
    )


def json_text(value: object) -> str:
    """`value` as JSON in one line, letters as they are and characters that could steer a terminal escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)


def plain(text: object) -> Text:
    """`text` as a line or table cell: no markup is read in it, and nothing in it steers the terminal."""
    from rich.text import Text  # noqa: PLC0415 - only needed to print

    return Text(printable("" if text is None else str(text)))
