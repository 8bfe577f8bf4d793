"""JSON that a server answers with, and words for what is wrong in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.errors import ModelRetrievalError
from inference_models.package.text_files import json_path
from inference_models.text import JsonRefusedError, scrub, shown, tolerant_object

if TYPE_CHECKING:
    from pydantic import ValidationError


def load_json(data: bytes, *, where: str) -> dict[str, object]:
    """The JSON object in `data`, with a `Misfit` where a part of it makes no sense.

    Raises:
        ModelRetrievalError: it is no JSON object, or one that is too large.
    """
    try:
        return tolerant_object(data.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        found = f"a byte at position {exc.start} that is not UTF-8"
    except JsonRefusedError as exc:
        found = str(exc)
    raise ModelRetrievalError(f"{where} gave an answer that cannot be read.", needs="one JSON object", found=found)


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
    return f"{path}: needs {needs}; found: {scrub(shown(found))}"
