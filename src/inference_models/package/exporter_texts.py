"""Metadata that exporters leave as text: a JSON or Python literal in a zip file, or a YAML file beside the graph."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_TEXT = 1 << 20
"""Characters. The names of the largest public data set take about 400 000."""
METADATA = "metadata.yaml"
"""Beside exports of several files, in what Ultralytics writes."""
_MAX_NESTING = 8
_MAX_VALUES = 150_000
"""Signs between values: Python's parser takes up to 700 bytes for each."""
_MAX_MEMBERS = 100_000
_STRING = r"""(?s)'(?:[^'\\]|\\(?:.|\Z))*(?:'|\Z)|"(?:[^"\\]|\\(?:.|\Z))*(?:"|\Z)"""
"""One that never ends goes to the end of the text, so that each character is looked at once."""
_NESTED = r"""\s*(?:-|('[^']*'|"[^"]*"|[\w.]+):)(?: (.*))?"""
"""An item of a list, or an entry of a mapping, below a key of the file."""
_ESCAPE = r"\\x([0-9A-Fa-f]{2})|\\."
"""Of a character in YAML, which JSON does not have; or any other."""
_WORDS = {"true": True, "false": False, "null": None, "~": None}


def text_in_zip(path: Path, suffix: str) -> str:
    """The first member of a zip file whose name ends so; empty where there is none, or it is too large.

    The file may begin with something else, as an archive at the end of a graph does.
    """
    import zipfile  # noqa: PLC0415 - of some formats only
    import zlib  # noqa: PLC0415

    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            names = (name for name in archive.namelist()[:_MAX_MEMBERS] if name.endswith(suffix))
            name = next(names, None)
            if name is None:
                return ""
            with archive.open(name) as member:
                data = member.read(MAX_TEXT + 1)
    except (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, EOFError):
        return ""
    return data.decode("utf-8", "replace") if len(data) <= MAX_TEXT else ""


def literal_metadata(text: str) -> dict[str, str]:
    """The entries of a JSON object or Python dictionary, each as text; none where `text` is something else."""
    value = literal(text)
    return as_texts(value) if isinstance(value, dict) else {}


def as_texts(value: Mapping[object, object]) -> dict[str, str]:
    """Every value as text: what is none, as JSON."""
    return {str(key): item if isinstance(item, str) else json.dumps(item, default=str) for key, item in value.items()}


def literal(text: str | None) -> object:
    """The JSON value or Python literal in `text`, without running anything; None when it is none, or too large."""
    if text is None or len(text) > MAX_TEXT:
        return None
    bare = re.sub(_STRING, "", text)
    if sum(map(bare.count, ",:([{+-~")) > _MAX_VALUES or _nesting(bare) > _MAX_NESTING:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        value: object = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return value


def yaml_beside(path: Path) -> dict[str, str]:
    """The entries of `metadata.yaml` in the folder of a graph, each as text; none where there is no such small file."""
    try:
        with (path.parent / METADATA).open("rb") as stream:
            data = stream.read(MAX_TEXT + 1)
    except OSError:
        return {}
    return as_texts(read_yaml(data.decode("utf-8", "replace"))) if len(data) <= MAX_TEXT else {}


def read_yaml(text: str) -> dict[object, object]:
    """The entries of a YAML mapping of scalars, lists of scalars and mappings of scalars, as PyYAML writes them."""
    return {key: _block(entries) for key, entries in _blocks(text)}


def _blocks(text: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each key of the file with what follows it, as (key, text): a scalar has no key, an item of a list `-`."""
    key, entries = "", [("", [""])]
    for line in text.splitlines():
        nested = None if _is_open(entries[-1][1]) else re.fullmatch(_NESTED, line)
        if line[:1] not in {" ", "-", "#", ""}:
            if key:
                yield key, _joined(entries)
            key, _, value = line.partition(":")
            entries = [("", [value.strip()])]
        elif nested is not None and entries[0][1] == [""]:
            entries.append((nested[1] or "-", [(nested[2] or "").strip()]))
        elif line.strip() and line[0] != "#":
            entries[-1][1].append(line.strip())  # a long scalar goes on
    if key:
        yield key, _joined(entries)


def _joined(entries: list[tuple[str, list[str]]]) -> list[tuple[str, str]]:
    return [(name, " ".join(lines)) for name, lines in entries]


def _is_open(lines: list[str]) -> bool:
    """Whether a scalar of these lines begins with a quote that does not end yet."""
    quote, last = lines[0][:1], lines[-1]
    if quote not in {"'", '"'}:
        return False
    only_quotes = len(lines) == 1 and set(last) == {quote}
    return lines == [quote] or (len(last) - len(last.rstrip(quote))) % 2 == (1 if only_quotes else 0)


def _block(entries: list[tuple[str, str]]) -> object:
    if len(entries) == 1:
        return _scalar(entries[0][1])
    if all(name == "-" for name, _ in entries[1:]):
        return [_scalar(value) for _, value in entries[1:]]
    return {str(_scalar(name)): _scalar(value) for name, value in entries[1:]}


def _scalar(text: str) -> object:
    if text[:1] == "'" and text[-1:] == "'":
        return text[1:-1].replace("''", "'")
    if text[:1] == '"':
        try:
            return json.loads(
                re.sub(_ESCAPE, lambda found: f"\\u{int(found[1], 16):04x}" if found[1] else found[0], text)
            )
        except ValueError:
            return text.strip('"')
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else text


def _nesting(text: str) -> int:
    """How deep brackets, and signs that could nest in their place, go at most; the parser's stack depends on it."""
    deepest = depth = signs = 0
    for character in text:
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        signs = signs + 1 if character in "+-~" else 0
        deepest = max(deepest, depth, signs)
    return deepest
