"""Keeps keys and signed addresses out of texts and logs."""

from __future__ import annotations

import html
import logging
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HIDDEN = "[hidden]"
_LONG = 4
_URL = re.compile(r"\bhttps?://[^\s\"'<>\\]+", re.IGNORECASE)
_ENCODED_URL = re.compile(r"https?(?:%(?:25)*3A|:)(?:%(?:25)*2F){2}[^\s\"'<>\\]*", re.IGNORECASE)
_QUERY = re.compile(r"\?[^\s\"'<>\\?=]*=[^\s\"'<>\\]*")
_MAX_PATH = 200
_SHOWN_PARAMETERS = frozenset({"modelid", "includecoremlpackages"})
"""What the user asked for himself; an error text without it would not help."""
_LIBRARIES = frozenset({"httpcore", "httpcore2", "httpx", "httpx2", "huggingface_hub"})
"""Whose loggers are filtered. What the Hub library calls its HTTP library differs from release to release."""
_CHILDREN = tuple(
    f"{library}.{part}"
    for library in ("httpcore", "httpcore2")
    for part in ("connection", "http11", "http2", "proxy", "socks")
)
"""Loggers that are made with the first connection."""


def shown_url(url: str) -> str:
    """`url` without user information, query and fragment; what was there is shown as `?...`."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return "a malformed URL"
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    path = parts.path if len(parts.path) <= _MAX_PATH else parts.path[:_MAX_PATH] + "..."
    text = f"{parts.scheme}://{host}{port}{path}" + ("?..." if parts.query else "")
    return "".join(character if character.isprintable() else "?" for character in text)


def scrub(text: str, secrets: Iterable[str] = (), *, urls: Iterable[str] = ()) -> str:
    """`text` with every secret hidden, in its percent-encoded form too, and every URL as `shown_url` shows it.

    Args:
        text: What somebody else wrote.
        secrets: Values of headers.
        urls: Addresses that were asked: every value of their queries is hidden, wherever it appears.
    """
    forms = {form for url in urls for form in _url_secrets(url)} | _forms(secrets)
    if forms:
        known = "|".join(_pattern(form) for form in sorted(forms, key=len, reverse=True))
        # Hexadecimal digits of percent-encoding come in both cases.
        text = re.sub(known, HIDDEN, text, flags=re.IGNORECASE)
    text = _URL.sub(lambda match: shown_url(match.group()), text)
    return _QUERY.sub("?...", _ENCODED_URL.sub(HIDDEN, text))


def _pattern(form: str) -> str:
    """Where `form` is found: a short one as a word of its own only, for it is a part of many other words."""
    if len(form) >= _LONG:
        return re.escape(form)
    return rf"(?<!\w){re.escape(form)}(?!\w)"


def _forms(secrets: Iterable[str]) -> set[str]:
    forms: set[str] = set()
    for secret in secrets:
        for part in {secret, secret.rpartition(" ")[2]}:
            if part.strip():
                forms |= {part, quote(part, safe=""), quote_plus(part), html.escape(part)}
    return forms


def _url_secrets(url: str, *, depth: int = 3) -> set[str]:
    """Forms of the user information and the query values of `url`, and of the addresses that are such values."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return _forms([url])
    values = [parts.username or "", parts.password or ""]
    forms: set[str] = set()
    for part in parts.query.split("&"):
        name, _, value = part.partition("=")
        if value and not _may_be_shown(unquote_plus(name)):
            values += [value, unquote(value), unquote_plus(value)]
            forms.add(part)
    for name, value in pairs:
        if "?" in value and depth:
            forms |= _url_secrets(value, depth=depth - 1)
        if value and not _may_be_shown(name):
            forms.add(f"{name}={value}")
    return forms | _forms(values)


def _may_be_shown(name: str) -> bool:
    return name.lower() in _SHOWN_PARAMETERS


class _SilentInBlocks(logging.Filter):
    """Drops the records of threads that ask for us; those of everybody else stay."""

    def __init__(self) -> None:
        super().__init__()
        self.here = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return not getattr(self.here, "depth", 0)


_FILTER = _SilentInBlocks()


def install_log_filter() -> None:
    """Put the filter in place for good, so that no request of another thread can slip past it.

    The filter of a logger does not see the records of those below it, so each gets it by its name; call this again
    after another of these libraries was imported.
    """
    for name in [*_LIBRARIES, *_CHILDREN, *list(logging.Logger.manager.loggerDict)]:
        if name.partition(".")[0] in _LIBRARIES:
            logging.getLogger(name).addFilter(_FILTER)


@contextmanager
def silent_libraries() -> Iterator[None]:
    """Within the block, what the HTTP libraries log for this thread is dropped: it holds headers and addresses."""
    here = _FILTER.here
    here.depth = getattr(here, "depth", 0) + 1
    try:
        yield
    finally:
        here.depth -= 1
