"""JSON from a server nobody vouches for: bounded in size and depth, and no key twice unnoticed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from inference_models.errors import ModelRetrievalError
from inference_models.package.text_files import json_path, shown
from inference_models.transport.redaction import scrub

if TYPE_CHECKING:
    from pydantic import ValidationError

MAX_VALUES = 300_000
"""Values of one answer. The largest real ones have some thousands; each costs about 200 bytes of memory."""
MAX_DEPTH = 32


class Twice:
    """Stands where an object had one key twice, so that only what needs this object fails."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __repr__(self) -> str:
        return f"an object with the key {self._key[:40]!a} twice"


def load_json(data: bytes, *, where: str) -> dict[str, object]:
    """The JSON object in `data`; objects with a key twice in it are `Twice`.

    Raises:
        ModelRetrievalError: it is no JSON object, or one that is too large.
    """
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
        raise _unreadable(where, f"more than {MAX_VALUES} values")
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_object)
    except RecursionError:
        raise _unreadable(where, "values nested too deeply") from None
    except json.JSONDecodeError as exc:
        raise _unreadable(where, f"{exc.msg} at line {exc.lineno}, column {exc.colno}") from None
    except UnicodeDecodeError as exc:
        raise _unreadable(where, f"a byte at position {exc.start} that is not UTF-8") from None
    except ValueError:
        raise _unreadable(where, "a number of too many digits") from None
    if not isinstance(value, dict):
        raise _unreadable(where, shown(value) if not isinstance(value, Twice) else repr(value))
    return value


def too_deep(value: object) -> bool:
    """Whether `value` is nested more than `MAX_DEPTH` levels deep."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def reason(error: ValidationError, value: object) -> str:
    """What is wrong in `value`, in one line without secrets, for example `packageFiles[0].fileHandle is missing`."""
    first = error.errors(include_url=False, include_context=False)[0]
    path = json_path(first["loc"], value)
    if first["type"] == "missing":
        return f"{path} is missing"
    needs = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    found = first["input"]
    if isinstance(found, dict):
        return f"{path}: {needs}"
    return f"{path}: needs {needs}; found: {scrub(repr(found) if isinstance(found, Twice) else shown(found))}"


def _object(pairs: list[tuple[str, object]]) -> object:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return Twice(key)
        seen.add(key)
    return result


def _unreadable(where: str, found: str) -> ModelRetrievalError:
    return ModelRetrievalError(f"{where} gave an answer that cannot be read.", needs="one JSON object", found=found)
