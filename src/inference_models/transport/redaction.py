"""Texts that may be shown: without keys, without what a signed URL is signed with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

HIDDEN = "[hidden]"
_SHORTEST_SECRET = 4
_URL = re.compile(r"\bhttps?://[^\s\"'<>\\]+", re.IGNORECASE)
_MAX_PATH = 200


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


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with every secret hidden, in its percent-encoded form too, and every URL as `shown_url` shows it."""
    for secret in _forms(secrets):
        text = text.replace(secret, HIDDEN)
    return _URL.sub(lambda match: shown_url(match.group()), text)


def _forms(secrets: Iterable[str]) -> list[str]:
    forms: set[str] = set()
    for secret in secrets:
        for part in {secret, secret.rpartition(" ")[2]}:
            if len(part) >= _SHORTEST_SECRET:
                forms |= {part, quote(part, safe=""), quote_plus(part)}
    return sorted(forms, key=len, reverse=True)
