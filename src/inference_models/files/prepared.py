"""Structures that any number of threads may be the first to need."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from inference_models.fork import RLock

Structure = TypeVar("Structure")
_prepared: set[object] = set()
_LOCK = RLock()


def prepared(kind: type[Structure]) -> type[Structure]:
    """`kind`, which msgspec knows by now; for every `msgspec.convert` and `msgspec.json.decode` to a structure.

    msgspec looks into the fields of a structure or dataclass when it first meets it. Another thread that needs it in
    that moment is given what is known so far, and the process ends by a segmentation fault.
    """
    if kind not in _prepared:
        with _LOCK:
            msgspec.msgpack.Decoder(kind)
            _prepared.add(kind)
    return kind
