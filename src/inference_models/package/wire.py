"""Reads the protobuf wire format: field numbers and where their bytes are, nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

Buffer: TypeAlias = "bytes | mmap.mmap"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_FIELDS = 4_000_000
"""Of one file. A graph of 100 000 nodes has about 1 million; this many take a few seconds."""
_MAX_NUMBER = (1 << 29) - 1


class WireError(ValueError):
    """Bytes that are not a message. `position` counts from the start of the file."""

    def __init__(self, reason: str, position: int) -> None:
        self.reason = reason
        self.position = position
        super().__init__(f"{reason} at byte {position}")


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [start, end) of a file."""

    start: int
    end: int


Field: TypeAlias = tuple[int, int, int, int, int]
"""(number, wire type, start of the tag, start of the value, end of the value).

For `BYTES` start and end are those of the content; a varint lies at its start."""


class WireReader:
    """Walks the messages of one file. Counts what it reads, so that hostile files end in bounded time."""

    def __init__(self, data: Buffer) -> None:
        self.data = data
        self.whole = Span(0, len(data))
        self._left = MAX_FIELDS

    def fields(self, span: Span) -> Iterator[Field]:
        """The fields of the message in `span`, in the order of the file.

        Raises:
            WireError: these bytes are not a message.
        """
        position, end = span.start, span.end
        while position < end:
            self._left -= 1
            if self._left < 0:
                raise WireError(f"more than {MAX_FIELDS} fields", position)
            tag_start = position
            tag, position = self.varint(position, end)
            number, kind = tag >> 3, tag & 7
            if not 1 <= number <= _MAX_NUMBER:
                raise WireError("an impossible field number", tag_start)
            start, stop, position = self._value(kind, position, end)
            yield number, kind, tag_start, start, stop

    def messages(self, span: Span, wanted: int) -> Iterator[Span]:
        """The contents of every field `wanted` of the message in `span`."""
        for number, kind, _, start, end in self.fields(span):
            if number == wanted and kind == BYTES:
                yield Span(start, end)

    def varint(self, position: int, end: int) -> tuple[int, int]:
        """The unsigned number at `position`, and the position behind it.

        Raises:
            WireError: the number does not end before `end`, or has more than 64 bits.
        """
        value = shift = 0
        begin = position
        data = self.data
        while position < end:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, position
            shift += 7
            if shift > 63:
                raise WireError("a number of more than 64 bits", begin)
        raise WireError("the end of the data inside a number", begin)

    def signed(self, start: int, end: int) -> int:
        """The int64 at `start`."""
        value, _ = self.varint(start, end)
        return value - (1 << 64) if value >> 63 else value

    def text(self, start: int, end: int) -> str:
        """The string in [start, end); bytes that are not UTF-8 are shown as escapes."""
        return self.data[start:end].decode("utf-8", "backslashreplace")

    def _value(self, kind: int, position: int, end: int) -> tuple[int, int, int]:
        if kind == VARINT:
            _, behind = self.varint(position, end)
            return position, behind, behind
        if kind == BYTES:
            length, start = self.varint(position, end)
        elif kind in (FIXED64, FIXED32):
            length, start = (8 if kind == FIXED64 else 4), position
        else:
            raise WireError(f"a field of unknown kind {kind}", position)
        if length > end - start:
            raise WireError(f"a field of {length} bytes where {end - start} are left", position)
        return start, start + length, start + length


def encode_varint(value: int) -> bytes:
    """`value`, at least 0, in the wire format."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_message(number: int, content: bytes) -> bytes:
    """A field with this number that holds `content`."""
    return encode_varint(number << 3 | BYTES) + encode_varint(len(content)) + content
