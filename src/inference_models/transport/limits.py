"""Time limits of calls, retries, and the waiting time a server asks for."""

from __future__ import annotations

import random
import re
import threading
import time
from concurrent.futures import Future, wait
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from inference_models import config
from inference_models.errors import RetryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,6})?")
_RATE_LIMIT_RESET = re.compile(r"(?:^|[;,\s])(?:t|reset)\s*=\s*(\d{1,9})(?![\d.])", re.IGNORECASE)
_RESET_HEADERS = ("ratelimit-reset", "x-ratelimit-reset")
_NO_DURATION = 10**9
"""Larger numbers are moments since 1970, which some servers send instead of a duration."""


class DeadlineExceededError(Exception):
    """The time limit is exceeded. Caught in this package."""


def run_within(seconds: float, work: Callable[[], T], *, late: Callable[[T], None]) -> T:
    """What `work` returns or raises, run in a thread of its own and waited for no longer than `seconds`.

    Sockets have time limits per operation only, and a name lookup has none; a thread that is left behind ends the
    wait for all of them, and lets Ctrl-C through at once.

    Args:
        seconds: How long to wait.
        work: What to do.
        late: Gets a result that came after the wait had ended, to dispose of it.

    Raises:
        DeadlineExceededError: `work` was not done in time.
    """
    future: Future[T] = Future()
    threading.Thread(target=_settle, args=(future, work, late), name="inference-models-http", daemon=True).start()
    try:
        wait([future], seconds)
    finally:
        # Fails when the result is there, also one that came a moment ago.
        abandoned = future.cancel()
    if abandoned:
        raise DeadlineExceededError
    try:
        return future.result()
    finally:
        # An error holds this frame, and this frame the error: without this, both wait for the collector.
        del future


def _settle(future: Future[T], work: Callable[[], T], late: Callable[[T], None]) -> None:
    try:
        value = work()
    except BaseException as exc:  # noqa: BLE001 - raised again in the thread that waits
        if future.set_running_or_notify_cancel():
            future.set_exception(exc)
        return
    if future.set_running_or_notify_cancel():
        future.set_result(value)
    else:
        late(value)


def call_with_retries(call: Callable[[], T], *, budget: float = float(config.NETWORK_BUDGET)) -> T:
    """What `call` returns, called again after a `RetryError` until `API_CALLS_MAX_TRIES` or time are used up.

    A server that says how long to wait is waited for at least that long; else pauses double, with jitter.

    Args:
        call: What to try.
        budget: Seconds in all, waiting included.

    Raises:
        RetryError: the last one, with the number of tries and the time they took.
    """
    tries, begin, attempt = config.api_calls_max_tries(), time.monotonic(), 1
    while True:
        try:
            return call()
        except RetryError as exc:
            pause = _pause(attempt, exc.retry_after)
            spent = time.monotonic() - begin
            if attempt == tries or spent + pause > budget:
                raise _given_up(exc, attempt, spent, limits=f"{tries} tries and {budget:g} s") from exc
        time.sleep(pause)
        attempt += 1


def _pause(attempt: int, stated: float | None) -> float:
    # Jitter keeps many machines that failed together from coming back together.
    doubled = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311
    return doubled if stated is None else stated + random.uniform(0.0, min(1.0, 0.1 + stated / 10))  # noqa: S311


def _given_up(error: RetryError, attempt: int, spent: float, *, limits: str) -> RetryError:
    waits = "" if error.retry_after is None else f"; it asks to wait {error.retry_after:g} s"
    tries = "1 try" if attempt == 1 else f"{attempt} tries"
    return RetryError(
        f"{error.summary.rstrip('.')}: given up after {tries} in {spent:.1f} s.",
        needs=f"an answer within {limits}",
        found=f"{error.found or 'none'}{waits}",
        fix=error.fix,
        retry_after=error.retry_after,
    )


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
