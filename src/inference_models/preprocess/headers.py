"""What an image file says about itself before anything is decoded: format, size, orientation, completeness.

Image libraries differ by version in which orientation they apply, print to the standard error stream on
damaged files, and allocate before they check a size. Reading the few bytes that matter here avoids all three.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inference_models.preprocess.orientation import UPRIGHT, exif_orientation, from_avif_properties

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inference_models.package.preprocess_spec import Size

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_SCAN, _JPEG_APP1, _JPEG_END = 0xDA, 0xE1, 0xD9
_PNM_NUMBERS = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+(\d{1,10})(?:\s|#[^\n]*\n)+(\d{1,10})")


@dataclass(frozen=True)
class ImageHeader:
    """What the first bytes of an image file state."""

    format: str
    """The name people use: `JPEG`, `PNG`, ..."""
    size: Size | None = None
    """(height, width) as stored, before the orientation is applied; None when the file ends before it says."""
    orientation: int = UPRIGHT
    """EXIF orientation 1..8 that the decoder leaves to us; TIFF stays at 1, its decoder turns the picture itself."""
    complete: bool = True
    """False when the end mark is missing, a length points past the end, or a checksum is wrong."""


def read_header(data: bytes) -> ImageHeader | None:
    """What the image file `data` states, or None when it is in no format that is read here."""
    for name, matches, parse in _FORMATS:
        if matches(data):
            try:
                return parse(data)
            except (struct.error, IndexError):
                return ImageHeader(name, complete=False)
    return None


def format_names() -> str:
    """The formats that are read, as `JPEG, PNG, ... or AVIF`."""
    names = [name for name, _, _ in _FORMATS]
    return ", ".join(names[:-1]) + " or " + names[-1]


def _jpeg(data: bytes) -> ImageHeader:
    header = ImageHeader("JPEG", complete=False)
    for marker, start, end in _jpeg_segments(data):
        if marker in _JPEG_FRAMES:
            header = replace(header, size=struct.unpack_from(">HH", data, start + 1))
        elif marker == _JPEG_APP1 and data.startswith(b"Exif\0\0", start):
            header = replace(header, orientation=exif_orientation(data[start + 6 : end]))
        elif marker == _JPEG_SCAN:
            # Thumbnails lie in the segments before the scan, so an end mark behind it ends this picture.
            return replace(header, complete=data.rfind(b"\xff\xd9", end) >= 0)
    return header


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start of content, end of content) up to the first scan."""
    position = 2
    while True:
        if data[position] != 0xFF:
            return
        while data[position] == 0xFF:
            position += 1
        marker = data[position]
        position += 1
        if marker in _JPEG_BARE:
            continue
        if marker == _JPEG_END:
            return
        (length,) = struct.unpack_from(">H", data, position)
        yield marker, position + 2, position + length
        position += max(length, 2)


def _png(data: bytes) -> ImageHeader:
    header = ImageHeader("PNG", complete=False)
    for kind, start, end in _png_chunks(data):
        if kind[:1].isupper() and zlib.crc32(memoryview(data)[start - 4 : end]) != _u32(data, end):
            return header
        if kind == b"IHDR":
            width, height = struct.unpack_from(">II", data, start)
            header = replace(header, size=(height, width))
        elif kind == b"eXIf":
            header = replace(header, orientation=exif_orientation(data[start:end]))
        elif kind == b"IEND":
            return replace(header, complete=True)
    return header


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(data):
        start, end = position + 8, position + 8 + _u32(data, position)
        if end + 4 > len(data):
            return
        yield data[position + 4 : start], start, end
        position = end + 4


def _webp(data: bytes) -> ImageHeader:
    (length,) = struct.unpack_from("<I", data, 4)
    header = ImageHeader("WebP", _webp_size(data), complete=8 + length <= len(data))
    position = 12
    while position + 8 <= min(8 + length, len(data)):
        (size,) = struct.unpack_from("<I", data, position + 4)
        if data.startswith(b"EXIF", position):
            content = data[position + 8 : position + 8 + size]
            return replace(header, orientation=exif_orientation(content.removeprefix(b"Exif\0\0")))
        position += 8 + size + size % 2
    return header


def _webp_size(data: bytes) -> Size | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[27:30], "little"), 1 + int.from_bytes(data[24:27], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return height & 0x3FFF, width & 0x3FFF
    return None


def _gif(data: bytes) -> ImageHeader:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    header = ImageHeader("GIF", (height, width), complete=False)
    position = 13 + _gif_palette(flags)
    while data[position] != 0x3B:
        if data[position] == 0x21:
            position += 2
        elif data[position] == 0x2C:
            position += 11 + _gif_palette(data[position + 9])
        else:
            return header
        while data[position]:
            position += 1 + data[position]
        position += 1
    return replace(header, complete=True)


def _gif_palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _bmp(data: bytes) -> ImageHeader:
    (kind,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if kind == 12 else "<ii", data, 18)
    return ImageHeader("BMP", (abs(height), abs(width)))


def _tiff(data: bytes) -> ImageHeader:
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    (directory,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, directory)
    entry, first = (20, directory + 8) if big else (12, directory + 2)
    sides: dict[int, int] = {}
    for position in range(first, min(first + count * entry, len(data)), entry):
        tag, kind = struct.unpack_from(order + "HH", data, position)
        if tag in (256, 257):
            (sides[tag],) = struct.unpack_from(
                order + {3: "H", 4: "I"}.get(kind, "Q"), data, position + (12 if big else 8)
            )
    size = (sides[257], sides[256]) if len(sides) == 2 else None
    return ImageHeader("TIFF", size, complete=size is not None)


def _pnm(data: bytes) -> ImageHeader:
    numbers = _PNM_NUMBERS.match(data)
    if numbers is None:
        return ImageHeader("PNM", complete=False)
    return ImageHeader("PNM", (int(numbers[2]), int(numbers[1])))


def _jpeg2000(data: bytes) -> ImageHeader:
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0:
        return ImageHeader("JPEG 2000", complete=False)
    right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    return ImageHeader("JPEG 2000", (max(bottom - top, 0), max(right - left, 0)))


def _avif(data: bytes) -> ImageHeader:
    properties = _avif_properties(data)
    sizes = [struct.unpack_from(">II", content, 4) for kind, content in properties if kind == b"ispe"]
    if not sizes:
        return ImageHeader("AVIF", complete=False)
    # A file may hold the tiles of its picture as well: the picture is the largest of them.
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return ImageHeader("AVIF", (height, width), orientation=from_avif_properties(dict(properties)))


def _avif_properties(data: bytes) -> list[tuple[bytes, bytes]]:
    """(kind, content) of the item properties, which state size, rotation and mirroring."""
    start, end = 0, len(data)
    for wanted, version_bytes in ((b"meta", 4), (b"iprp", 0), (b"ipco", 0)):
        found = [(first, last) for kind, first, last in _boxes(data, start, end) if kind == wanted]
        if not found:
            return []
        start, end = found[0]
        start += version_bytes
    return [(kind, data[first:last]) for kind, first, last in _boxes(data, start, end)]


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while start + 8 <= end:
        length = _u32(data, start)
        if length < 8:
            return
        yield data[start + 4 : start + 8], start + 8, min(start + length, end)
        start += length


def _u32(data: bytes, position: int) -> int:
    value: int = struct.unpack_from(">I", data, position)[0]
    return value


_FORMATS: tuple[tuple[str, Callable[[bytes], bool], Callable[[bytes], ImageHeader]], ...] = (
    ("JPEG", lambda data: data.startswith(b"\xff\xd8\xff"), _jpeg),
    ("PNG", lambda data: data.startswith(_PNG_SIGNATURE), _png),
    ("WebP", lambda data: data.startswith(b"RIFF") and data[8:12] == b"WEBP", _webp),
    ("TIFF", lambda data: data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")), _tiff),
    ("BMP", lambda data: data.startswith(b"BM"), _bmp),
    ("GIF", lambda data: data.startswith((b"GIF87a", b"GIF89a")), _gif),
    ("PNM", lambda data: re.match(rb"P[1-6][\s#]", data) is not None, _pnm),
    ("JPEG 2000", lambda data: data.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")), _jpeg2000),
    ("AVIF", lambda data: data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"mif1"), _avif),
)
