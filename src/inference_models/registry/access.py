"""Access control: API keys for model queries, expiring signatures for files."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIFETIME = 3600
"""Seconds. Clients send no key with file addresses, so the address itself has to say that it may be used."""

_MAX_FIELDS = 8
"""Of the query of a file address; ours have two."""


@dataclass(frozen=True)
class Access:
    """Access rules of one server. Without keys everything is public."""

    keys: tuple[str, ...] = field(default=(), repr=False)
    lifetime: int = LIFETIME
    clock: Callable[[], float] = field(default=time.time, repr=False)
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether the Authorization header holds one of the keys."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = key.strip().encode("utf-8", "replace")
        # All are compared, so that the time says nothing about which.
        return scheme.lower() == "bearer" and any([hmac.compare_digest(given, known.encode()) for known in self.keys])  # noqa: C419

    def signed(self, path: str) -> str:
        """`path` with the query that lets it be fetched for a while; as it is when there are no keys."""
        if not self.keys:
            return path
        step = max(1, self.lifetime // 2)
        # The same address for everybody who asks within a step, so that answers are equal and can be cached.
        expires = (int(self.clock()) // step + 2) * step if self.lifetime > 0 else int(self.clock()) - 1
        return f"{path}?{urlencode({'expires': expires, 'signature': self._signature(path, expires)})}"

    def allows(self, path: str, query: str) -> bool:
        """Whether the query of a file address lets `path` be fetched now."""
        if not self.keys:
            return True
        try:
            values = parse_qs(query, max_num_fields=_MAX_FIELDS)
        except ValueError:
            return False
        expires, signature = values.get("expires", [""])[0], values.get("signature", [""])[0]
        if not (expires.isascii() and expires.isdecimal() and len(expires) <= 12):
            return False
        fresh = int(expires) >= self.clock()
        return hmac.compare_digest(signature.encode(), self._signature(path, int(expires)).encode()) and fresh

    def _signature(self, path: str, expires: int) -> str:
        return hmac.new(self._secret, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
