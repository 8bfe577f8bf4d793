"""Logs of the HTTP libraries, and of those that use them for us, without keys and without addresses that are signed."""

from __future__ import annotations

import logging
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_models.transport.redaction import HIDDEN, scrub

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LIBRARIES = frozenset({"httpcore", "httpcore2", "httpx", "httpx2", "huggingface_hub"})
"""Whose loggers are filtered. What the Hub library calls its HTTP library differs from release to release."""
_LATE = tuple(
    f"{library}.{part}"
    for library in ("httpcore", "httpcore2")
    for part in ("connection", "http11", "http2", "proxy", "socks")
)
"""Loggers that are made with the first connection."""
_REST = re.compile(r"(?P<before>\[(?=\(b)|\bauth=).*", re.DOTALL)
"""Headers of an answer, and the name and password for a proxy, as these libraries print them, last in a line."""


@dataclass(frozen=True)
class _Block:
    secrets: tuple[str, ...]
    urls: tuple[str, ...]


class _AddressFilter(logging.Filter):
    """Rewrites the records of threads that ask for us; those of everybody else stay as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.here = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        blocks: list[_Block] = getattr(self.here, "blocks", [])
        if blocks:
            text = record.getMessage()
            for block in blocks:
                text = scrub(text, block.secrets, urls=block.urls)
            record.msg, record.args = _REST.sub(_without_rest, text), ()
            # The text of an error of theirs, and of what led to it, holds addresses too.
            record.exc_info = record.exc_text = record.stack_info = None
        return True


_FILTER = _AddressFilter()


def hide_addresses_in_logs() -> None:
    """Put the filter in place; it stays there, so that no request of another thread can slip past it.

    The filter of a logger does not see the records of those below it, so each gets it by its name; call this again
    after another of these libraries was imported.
    """
    for name in [*_LIBRARIES, *_LATE, *list(logging.Logger.manager.loggerDict)]:
        if name.partition(".")[0] in _LIBRARIES:
            logging.getLogger(name).addFilter(_FILTER)


@contextmanager
def quiet_logs(secrets: Iterable[str] = (), *, urls: Iterable[str] = ()) -> Iterator[None]:
    """What this thread logs within the block has no query and no header of an answer in it.

    Args:
        secrets: Values of headers that are hidden too, wherever they appear.
        urls: Addresses that are asked: the values of their queries are hidden, wherever they appear.
    """
    here = _FILTER.here
    here.blocks = [*getattr(here, "blocks", []), _Block(tuple(secrets), tuple(urls))]
    try:
        yield
    finally:
        here.blocks = here.blocks[:-1]


def _without_rest(match: re.Match[str]) -> str:
    before = match["before"]
    return HIDDEN if before == "[" else f"{before}{HIDDEN}"
