"""The libraries that a shared object of Linux needs, read from its dynamic section. Nothing is loaded."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = b"\x7fELF\x02\x01"
"""64 bits, least significant byte first: every machine the runtimes are built for."""
_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRINGS, _STRINGS_SIZE = 1, 5, 10
_MOST = 1 << 20
"""Bytes of one table; files that state more are not read."""


def needed_libraries(path: Path) -> tuple[str, ...]:
    """Names such as `libcublas.so.12`, in the order of the file; empty when it is no such file."""
    try:
        with path.open("rb") as stream:
            return _needed(stream)
    except (OSError, struct.error, ValueError):
        return ()


def _needed(stream: BinaryIO) -> tuple[str, ...]:
    header = stream.read(64)
    if not header.startswith(_MAGIC):
        return ()
    (offset,) = struct.unpack_from("<Q", header, 32)
    size, count = struct.unpack_from("<HH", header, 54)
    programs = [struct.unpack("<IIQQQQ", _at(stream, offset + index * size, 40)) for index in range(count)]
    dynamic = next((program for program in programs if program[0] == _DYNAMIC), None)
    if dynamic is None:
        return ()
    entries = list(struct.iter_unpack("<qQ", _at(stream, dynamic[2], dynamic[5] // 16 * 16)))
    values = dict(entries)
    place = _in_file(values.get(_STRINGS, 0), programs)
    strings = _at(stream, place, values.get(_STRINGS_SIZE, 0))
    return tuple(_text(strings, value) for kind, value in entries if kind == _NEEDED)


def _at(stream: BinaryIO, offset: int, size: int) -> bytes:
    if size > _MOST:
        raise ValueError(size)
    stream.seek(offset)
    return stream.read(size)


def _in_file(address: int, programs: list[tuple[int, ...]]) -> int:
    """Where in the file the loader takes `address` from."""
    for kind, _, offset, start, _, size in programs:
        if kind == _LOAD and start <= address < start + size:
            return offset + address - start
    raise ValueError(address)


def _text(strings: bytes, start: int) -> str:
    return strings[start : strings.index(b"\0", start)].decode("ascii")
