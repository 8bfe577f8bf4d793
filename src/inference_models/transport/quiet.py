"""Logs of the HTTP library without addresses that may be signed."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from inference_models.transport.redaction import HIDDEN, scrub

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGGERS = ("httpx", *(f"httpcore.{name}" for name in ("connection", "http11", "http2", "proxy", "socks")))
"""Each by its name: the filter of a logger does not see the records of those below it."""
_HEADERS = "[(b"


class _AddressFilter(logging.Filter):
    """Rewrites the records of threads that ask for us; those of everybody else stay as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.here = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(self.here, "depth", 0):
            text, found, _ = record.getMessage().partition(_HEADERS)
            record.msg, record.args = scrub(text) + (HIDDEN if found else ""), ()
        return True


_FILTER = _AddressFilter()


def hide_addresses_in_logs() -> None:
    """Put the filter in place; it stays there, so that no request of another thread can slip past it."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)


@contextmanager
def quiet_logs() -> Iterator[None]:
    """What this thread logs within the block has no query and no header of an answer in it."""
    here = _FILTER.here
    here.depth = getattr(here, "depth", 0) + 1
    try:
        yield
    finally:
        here.depth -= 1
