"""How long a server asks to wait: `Retry-After`, `RateLimit` and their relatives."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,6})?")
_RATE_LIMIT_RESET = re.compile(r"(?:^|[;,\s])(?:t|reset)\s*=\s*(\d{1,9})(?![\d.])", re.IGNORECASE)
_RESET_HEADERS = ("ratelimit-reset", "x-ratelimit-reset")
_NO_DURATION = 10**9
"""Larger numbers are moments since 1970, which some servers send instead of a duration."""


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks to wait, at least 0; None when it does not say, or says something unreadable.

    Args:
        headers: Of the answer, names in lower case.
    """
    stated = _retry_after(headers)
    return stated if stated is not None else _rate_limit_reset(headers)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    moment = _moment(text)
    if moment is None:
        return None
    # The server's own clock, so that a wrong clock on this machine changes nothing.
    now = _moment(headers.get("date", "")) or datetime.now(timezone.utc)
    return max(0.0, (moment - now).total_seconds())


def _rate_limit_reset(headers: Mapping[str, str]) -> float | None:
    match = _RATE_LIMIT_RESET.search(headers.get("ratelimit", ""))
    texts = [match.group(1)] if match else []
    texts += [headers.get(name, "").strip() for name in _RESET_HEADERS]
    readable = (float(text) for text in texts if _SECONDS.fullmatch(text))
    return next((seconds for seconds in readable if seconds < _NO_DURATION), None)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
