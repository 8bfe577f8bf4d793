"""Refusals of servers and failures of connections, as errors of this library that show nothing secret."""

from __future__ import annotations

import html
import json
import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

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
from inference_models.transport.limits import seconds_to_wait
from inference_models.transport.quiet import scrub, shown_url

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

FOREIGN = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, UnicodeError)
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (httpx.ConnectTimeout, "no connection in time"),
    (httpx.PoolTimeout, "no free connection in time"),
    (httpx.ReadTimeout, "a pause that is too long"),
    (httpx.WriteTimeout, "a pause that is too long"),
    (httpx.ProxyError, "a proxy that refused"),
    (httpx.ConnectError, "no connection"),
    (httpx.RemoteProtocolError, "a connection that broke off, or an answer that is not HTTP"),
    (httpx.TransportError, "a connection that broke off"),
)
_OF_THE_MACHINE = (httpx.TimeoutException, httpx.NetworkError)
_CLOCK_CODES = frozenset({9, 10})
"""OpenSSL: the certificate is not valid yet, or not any more."""


@dataclass(frozen=True)
class HttpAnswer:
    """A complete answer."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Found by names in lower case."""
    body: bytes = field(repr=False)
    asked: tuple[str, ...] = field(repr=False)
    """The address of the request, then those it was redirected to."""


def error_for(
    answer: HttpAnswer, *, retried: frozenset[int], secrets: tuple[str, ...] = ()
) -> BaseInferenceModelsError:
    """The error that a status of 300 or more stands for."""
    where = shown_url(answer.asked[0])
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
    words = " ".join(scrub(_message(answer.body), secrets, urls=answer.asked).split())
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


def failure(error: Exception, *, where: str) -> BaseInferenceModelsError:
    """The error of ours that `error`, one of `FOREIGN`, stands for."""
    certificate = _certificate_error(error)
    if certificate is not None:
        return _untrusted(certificate, where)
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError)):
        return ModelRetrievalError(f"{where} cannot be asked.", needs="an http or https URL", found="another address")
    found = next((words for kind, words in _REASONS if isinstance(error, kind)), "a connection that was closed")
    return RetryError(f"{where} did not answer.", needs="an answer", found=found, fix="check the network and run again")


def shown_cause(error: Exception) -> Exception | None:
    """`error`, where it may be seen in a traceback: its text comes from this machine, not from an answer or a URL."""
    return error if isinstance(error, _OF_THE_MACHINE) else None


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _untrusted(error: ssl.SSLCertVerificationError, where: str) -> ModelRetrievalError:
    clock = error.verify_code in _CLOCK_CODES
    return ModelRetrievalError(
        f"{where} cannot prove who it is.",
        needs="a certificate that this machine trusts",
        found=error.verify_message or "another certificate",
        fix="check the clock of this machine" if clock else "set SSL_CERT_FILE to the certificates of your network",
    )
