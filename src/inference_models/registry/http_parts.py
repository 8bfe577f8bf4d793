"""The server's side of ranges: which bytes of a file a request asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import Message

_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")


@dataclass(frozen=True)
class Slice:
    """What is sent."""

    status: int
    start: int
    length: int


def requested_slice(headers: Message, size: int, etag: str) -> Slice:
    """The part of a file of `size` bytes that the headers ask for: status 206, 416, or 200 with all of it."""
    everything = Slice(200, 0, size)
    condition = headers.get("If-Range")
    match = _RANGE.fullmatch(headers.get("Range", "").strip())
    if match is None or (condition is not None and condition.strip() != etag):
        return everything
    first, last = match.groups()
    if not first and not last:
        return everything
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), size if not last else min(int(last) + 1, size)
        if last and int(last) < start:
            return everything
    if start >= size or stop <= start:
        return Slice(416, 0, 0)
    return Slice(206, start, stop - start)
