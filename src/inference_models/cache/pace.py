"""How long a download may take, and how long it waits before it asks again."""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inference_models import config
from inference_models.errors import RetryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.entities import FileDownloadSpecs

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 10.0
_JITTER = 0.25
WORTH_COUNTING = 64 << 10
"""Bytes; a source that gives less before it fails again does not get the download any further."""


@dataclass(frozen=True)
class Limits:
    """In seconds, but for the number of connections."""

    deadline: float
    """For one file, from the first request to the last byte."""
    idle: float
    """Without a byte on any connection."""
    budget: float
    """Without a byte while the source fails, pauses between attempts included."""
    connections: int = 4

    @classmethod
    def configured(cls, size: int | None) -> Limits:
        """The limits of the environment variables, for a file of this size."""
        return cls(config.download_deadline(size), config.download_idle_timeout(), config.DOWNLOAD_RETRY_BUDGET)


@dataclass
class Clock:
    """Watches one download."""

    limits: Limits
    file: FileDownloadSpecs
    started: float = field(default_factory=time.monotonic)
    moved: float = field(default_factory=time.monotonic)
    """When enough new bytes had arrived: the budget counts from here."""
    heard: float = field(default_factory=time.monotonic)
    """When the last byte arrived, also one that was there: tells a dead connection."""
    _gained: int = 0
    _pausing: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, new: int) -> None:
        """A piece has arrived, with so many bytes that were not there yet."""
        self.heard = time.monotonic()
        self._gained += new
        if self._gained >= WORTH_COUNTING:
            self._gained, self.moved = 0, self.heard

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """A connection waits on purpose for the block."""
        with self._lock:
            self._pausing += 1
        try:
            yield
        finally:
            with self._lock:
                self._pausing -= 1
                self.heard = time.monotonic()

    def refuse_when_late(self, stored: int) -> None:
        """Raise when the download takes too long, or nothing arrives.

        Raises:
            RetryError: says how far it got.
        """
        now = time.monotonic()
        if now - self.started > self.limits.deadline:
            raise self._late("did not arrive in time", f"all of it within {self.limits.deadline:g} s", stored)
        if not self._pausing and now - self.heard > self.limits.idle:
            raise self._late("stopped arriving", f"a byte within {self.limits.idle:g} s", stored)

    def pause_after(self, error: RetryError, failures: int) -> float:
        """Seconds to wait before the next attempt, never less than the source asks for.

        Raises:
            RetryError: that would be longer than the budget allows.
        """
        self._gained = 0
        own = min(_FIRST_PAUSE_S * 2**failures, _LONGEST_PAUSE_S)
        pause = max(error.retry_after or 0.0, own) * (1 + _JITTER * random.random())  # noqa: S311 - spreads load
        now = time.monotonic()
        left = min(self.limits.budget - (now - self.moved), self.limits.deadline - (now - self.started))
        if pause <= left:
            return float(pause)
        waited = f"{error.found or error.summary} (gave up after {now - self.moved:.0f} s)"
        if error.retry_after is not None:
            waited += f"; the source asks to wait {error.retry_after:g} s"
        raise RetryError(
            f"{self.file.file_handle} could not be fetched.",
            needs=f"an answer within {self.limits.budget:g} s",
            found=waited,
            fix="run again later; what has arrived is kept",
            retry_after=error.retry_after,
        ) from error

    def _late(self, what: str, needs: str, stored: int) -> RetryError:
        size = "" if self.file.size is None else f" of {self.file.size}"
        return RetryError(
            f"{self.file.file_handle} {what}.",
            needs=needs,
            found=f"{stored}{size} bytes",
            fix="run again; it goes on where it stopped",
        )
