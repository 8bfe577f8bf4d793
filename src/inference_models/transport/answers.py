"""What a status says: the error for it, in words, without anything secret."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inference_models.errors import (
    BaseInferenceModelsError,
    ForbiddenModelAccessError,
    ModelNotFoundError,
    ModelRetrievalError,
    PaymentRequiredModelAccessError,
    RetryError,
    UnauthorizedModelAccessError,
    UsagePausedModelAccessError,
)
from inference_models.transport.redaction import scrub, shown_url
from inference_models.transport.waits import seconds_to_wait

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ERROR_BODY = 64 << 10
_SHOWN = 600
_XML_PARTS = (re.compile(r"<Code>([^<]*)</Code>"), re.compile(r"<Message>([^<]*)</Message>"))
_FINAL: dict[int, tuple[type[ModelRetrievalError], str, str | None]] = {
    401: (UnauthorizedModelAccessError, "wants an API key that it knows", "check the API key you pass or have set"),
    402: (PaymentRequiredModelAccessError, "wants to be paid first", None),
    403: (ForbiddenModelAccessError, "does not let you have this", "check what the API key may use"),
    404: (ModelNotFoundError, "does not have this", None),
    423: (UsagePausedModelAccessError, "has paused the use of this account", None),
}


@dataclass(frozen=True)
class HttpAnswer:
    """A complete answer."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: bytes = field(repr=False)
    url: str = field(repr=False)
    """Of the request, before redirects."""
    asked: tuple[str, ...] = field(default=(), repr=False)
    """Every address that was asked, redirects included."""


def error_for(
    answer: HttpAnswer, *, retried: frozenset[int], secrets: tuple[str, ...] = ()
) -> BaseInferenceModelsError:
    """The error that a status of 300 or more stands for."""
    where = shown_url(answer.url)
    said = _said(answer, secrets)
    if answer.status in _FINAL:
        kind, words, fix = _FINAL[answer.status]
        error = kind(f"{where} {words}.", needs="an answer with status 200", found=said, fix=fix)
        error.status_code = answer.status
        return error
    if answer.status in retried:
        return RetryError(
            f"{where} cannot answer now.",
            needs="an answer with status 200",
            found=said,
            fix="run again later",
            retry_after=seconds_to_wait(answer.headers),
        )
    other = ModelRetrievalError(f"{where} refused the request.", needs="an answer with status 200", found=said)
    other.status_code = answer.status
    return other


def _said(answer: HttpAnswer, secrets: tuple[str, ...]) -> str:
    words = " ".join(scrub(_message(answer.body), secrets, urls=(answer.url, *answer.asked)).split())
    words = "".join(character if character.isprintable() else "?" for character in words)
    short = words if len(words) <= _SHOWN else words[: _SHOWN - 3] + "..."
    return f"{answer.status}: {short}" if short else str(answer.status)


def _message(body: bytes) -> str:
    text = body[:MAX_ERROR_BODY].decode("utf-8", "replace").lstrip("\ufeff").strip()
    if text.startswith("<"):
        return _markup_message(text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, dict):
        stated = next((value[key] for key in ("message", "error", "detail") if value.get(key)), value)
        value = stated.get("message", stated) if isinstance(stated, dict) else stated
    return value if isinstance(value, str) else json.dumps(value)


def _markup_message(text: str) -> str:
    """Code and message of an object store's XML: the rest of it repeats the request, signature and key id included."""
    found = (match.group(1) for pattern in _XML_PARTS if (match := pattern.search(text)))
    return ": ".join(words for part in found if (words := html.unescape(part).strip()))
