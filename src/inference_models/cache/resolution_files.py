"""The files that remembered decisions are kept in: small, replaced in one step, each with its own checksum."""

from __future__ import annotations

import logging
import os
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import msgspec

from inference_models import config
from inference_models.cache.facts import Facts
from inference_models.files.durable import make_folder, put_aside_folder, write_atomic
from inference_models.files.regular import is_denied, read_regular_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger("inference-models")
FORMAT = 1
FOLDER = "resolutions"
_MAX_SALT = 1 << 10
LIFETIME_VARIABLE = "AUTO_LOADER_CACHE_EXPIRATION_MINUTES"
DEFAULT_LIFETIME_MINUTES = 1440
CLOCK_TOLERANCE_S = 300
"""Clocks of machines that share a cache may differ by so much."""


class AutoResolutionCacheEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One remembered answer."""

    format: int = FORMAT
    provider: str
    model_id: str
    """As it was asked for; `canonical_model_id` is what the provider calls it."""
    canonical_model_id: str
    model_package_id: str | None = None
    """None: the provider's description only."""
    created_at: datetime
    description: dict[str, Any]
    """`metadata_to_json` of the model, without what signs its URLs."""

    def model_dump_json(self) -> str:
        """The entry as JSON, for caches that store text."""
        return msgspec.json.encode(self).decode()


class FileResolutionCache:
    """Entries as small files below a cache folder, each with its own checksum, replaced in one step."""

    def __init__(self, root: Path | None = None) -> None:
        self.folder = (root or config.cache_directory()) / FOLDER
        self._entries = Facts(self.folder, AutoResolutionCacheEntry, "remembered decision ignored: %s")

    def register(self, auto_negotiation_hash: str, cache_entry: AutoResolutionCacheEntry) -> None:
        """Keep an entry. A cache that must not be written to stays as it is."""
        if not self.is_writable():
            return
        try:
            self._entries.write(_name(auto_negotiation_hash), cache_entry)
        except OSError as exc:
            _log.info("the decision for %r was not remembered: %s", cache_entry.model_id, exc)

    def retrieve(self, auto_negotiation_hash: str) -> AutoResolutionCacheEntry | None:
        """The entry; None when there is none, or when it is damaged, which is logged."""
        return self._entries.read(_name(auto_negotiation_hash))

    def invalidate(self, auto_negotiation_hash: str) -> None:
        """Drop the entry."""
        self._entries.remove(_name(auto_negotiation_hash))

    def is_writable(self) -> bool:
        """Whether an answer could be replaced by a newer one. Finds out without writing."""
        places = (self.folder, *self.folder.parents)
        return not is_denied(self.folder) and os.access(next(filter(os.path.exists, places)), os.W_OK)

    def salt(self, *, create: bool = False) -> bytes | None:
        """What credentials are hashed with in this cache; None when nothing was ever hashed here."""
        path = self.folder / "salt"
        try:
            if create and not path.is_file() and self.is_writable():
                make_folder(self.folder)
                put_aside_folder(path)
                write_atomic(path, os.urandom(32))
            return read_regular_file(path, _MAX_SALT)
        except (OSError, ValueError) as exc:
            _log.debug("answers to a key are not remembered: %s", exc)
            return None

    def entries(self) -> Iterator[AutoResolutionCacheEntry]:
        """All that can be read."""
        keys = sorted(path.stem for path in self.folder.glob("??/*.json"))
        return (entry for key in keys if (entry := self.retrieve(key)) is not None)

    def clear(self, *, damaged_only: bool = False) -> int:
        """Remove all entries, or only unreadable ones; returns how many.

        Those past their lifetime stay: without a network they are all there is.
        """
        keys = [path.stem for path in self.folder.glob("??/*.json")]
        gone = [key for key in keys if not damaged_only or self.retrieve(key) is None]
        for key in gone:
            self.invalidate(key)
        return len(gone)


def _name(key: str) -> str:
    if not key.isalnum():
        raise ValueError(f"{key!r} is no key of this cache")
    return f"{key[:2]}/{key}"


def is_fresh(entry: AutoResolutionCacheEntry | None) -> bool:
    """Whether an entry is within its lifetime; one from the future is not, whichever clock was wrong."""
    if entry is None:
        return False
    created = entry.created_at if entry.created_at.tzinfo else entry.created_at.replace(tzinfo=timezone.utc)
    lifetime = config.read_int(LIFETIME_VARIABLE, default=DEFAULT_LIFETIME_MINUTES)
    return -CLOCK_TOLERANCE_S <= time.time() - created.timestamp() <= lifetime * 60
