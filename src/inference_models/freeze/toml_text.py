"""Plain values as TOML, which the standard library reads but does not write."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHORT_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def toml_text(data: Mapping[str, Any]) -> str:
    """`data` as a TOML document: texts, numbers, switches, lists and tables of them. None is left out.

    Raises:
        ValueError: a value has no TOML form.
    """
    return "\n".join(_table((), data)).strip() + "\n"


def _table(path: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[str]:
    stated = {key: value for key, value in table.items() if value is not None}
    inline = {key: value for key, value in stated.items() if not _is_table(value) and not _is_table_list(value)}
    for key, value in inline.items():
        yield f"{_key(key)} = {_value(value)}"
    for key, value in stated.items():
        inner = (*path, key)
        if _is_table(value):
            yield f"\n[{_dotted(inner)}]"
            yield from _table(inner, value)
        elif key not in inline:
            for item in value:
                yield f"\n[[{_dotted(inner)}]]"
                yield from _table(inner, item)


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_table_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_table(item) for item in value)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, dict):
        pairs = (f"{_key(key)} = {_value(item)}" for key, item in value.items() if item is not None)
        return f"{{{', '.join(pairs)}}}"
    raise ValueError(f"{value!r} has no TOML form")


def _string(text: str) -> str:
    return '"' + "".join(_SHORT_ESCAPES.get(char) or _char(char) for char in text) + '"'


def _char(char: str) -> str:
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError(f"the character {code:#x} has no TOML form")
    return f"\\u{code:04X}" if code < 0x20 or code == 0x7F else char


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(_key(key) for key in path)
