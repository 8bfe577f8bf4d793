"""Asking again: how often, how long in all, and how long to wait in between."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from inference_models.errors import RetryError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0


@dataclass(frozen=True)
class RetryRules:
    """When to stop asking."""

    tries: int
    budget: float
    """Seconds in all, waiting included."""
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)


def call_with_retries(call: Callable[[], T], rules: RetryRules) -> T:
    """What `call` returns, called again after a `RetryError` until tries or time are used up.

    A server that says how long to wait is waited for at least that long; else pauses double, with jitter.

    Raises:
        RetryError: the last one, with the number of tries and the time they took.
    """
    begin = rules.clock()
    for attempt in range(1, rules.tries + 1):
        try:
            return call()
        except RetryError as exc:
            pause = _pause(attempt, exc.retry_after)
            spent = rules.clock() - begin
            if attempt == rules.tries or spent + pause > rules.budget:
                raise _given_up(exc, attempt, spent, rules) from exc
        rules.sleep(pause)
    raise ValueError("tries must be at least 1")


def _pause(attempt: int, stated: float | None) -> float:
    # Jitter keeps many machines that failed together from coming back together.
    doubled = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311
    return doubled if stated is None else stated + random.uniform(0.0, min(1.0, 0.1 + stated / 10))  # noqa: S311


def _given_up(error: RetryError, attempt: int, spent: float, rules: RetryRules) -> RetryError:
    waits = "" if error.retry_after is None else f"; it asks to wait {error.retry_after:g} s"
    tries = "1 try" if attempt == 1 else f"{attempt} tries"
    return RetryError(
        f"{error.summary.rstrip('.')}: given up after {tries} in {spent:.1f} s.",
        needs=f"an answer within {rules.tries} tries and {rules.budget:g} s",
        found=f"{error.found or 'none'}{waits}",
        fix=error.fix,
        retry_after=error.retry_after,
    )
