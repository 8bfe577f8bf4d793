"""What reading an image file may cost: steps and bytes while Pillow reads it, tags and pixels before it does."""

from __future__ import annotations

import io
import re
import struct
from typing import TYPE_CHECKING, Any

from inference_models import config

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FILE_BYTES = 1 << 30
"""Size of an image file at most."""
MAX_JPEG2000_BYTES = 1 << 25
"""The same for JPEG 2000, of which OpenJPEG decodes a few megabytes a second."""
MAX_SLOW_PIXELS = 1 << 20
"""The same for what Pillow decodes in Python, at 2 to 6 microseconds a pixel: QOI, plain PNM, DDS."""
_PIXELS_OF_A_SMALL_FILE = {"AVIF": 1 << 24, "JPEG2000": 1 << 23, "WEBP": 1 << 24}
"""What a file of next to no bytes may say; their decoders keep up to 17 bytes a pixel."""
_MOST_PIXELS = {"AVIF": 1 << 25, "JPEG2000": 1 << 24, "WEBP": 25_000_000}
"""Of files of any size: with more, 15 to 25 bytes a pixel would be more than three times the picture and 256 MB."""
_SMALL, _SMALL_IN_FLOATS = 1 << 25, 1 << 23
_PIXELS_PER_BYTE = 8
"""What every byte of a file allows beyond; photographs have 0.2 to 4."""
_STEPS, _BYTES_PER_STEP = 200_000, 1024
_SPARE_BYTES = 1 << 24
_MAX_SCANNED_PIXELS = 1 << 32
"""Pixels times scans of a JPEG: each scan of a progressive one goes over the whole picture."""
_MAX_TEXTS, _MAX_COMMENTS = 32, 1000
"""Packed texts of a PNG, each of up to 4 MB; comments of a plain PNM, of which each is cut out of the rest."""
_MAX_SEGMENTS, _MAX_EXIF_BYTES = 100_000, 1 << 24
_MAX_TAGS, _MAX_VALUES = 4096, 1 << 18
_VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Of one value of each type that Pillow reads."""
_BYTE_STRINGS = frozenset({1, 2, 7})
_LISTED = frozenset({273, 279, 324, 325})
"""Tags with a place or size of each strip or tile."""
_TILE_SIDES = (322, 323)
_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_INNER_PICTURES = rb"(?s)(?:\x89PNG\r\n\x1a\n.{8}|\xff\x4f\xff\x51.{4})(.{4})(.{4})"
"""Width and height of the PNG and JPEG 2000 pictures in an icon."""


class TooMuchError(Exception):
    """A file would cost far more than a picture of its size can need."""

    def __init__(self, needs: str, found: str) -> None:
        super().__init__(f"needs {needs}; found: {found}")
        self.needs = needs
        self.found = found


class MeteredFile(io.BytesIO):
    """The bytes of a file, which can be read about twice, and not one by one."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.steps = _STEPS + len(data) // _BYTES_PER_STEP
        """Reads that are left; decoders in Python take one a pixel."""
        self._bytes = 2 * len(data) + _SPARE_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        """As that of the base.

        Raises:
            TooMuchError: more was read than a picture needs.
        """
        part = super().read(size)
        self.steps -= 1
        self._bytes -= len(part)
        if self.steps < 0 or self._bytes < 0:
            raise TooMuchError("a file whose parts are read once", "one that is read over and over, or byte by byte")
        return part

    def readline(self, size: int | None = -1, /) -> bytes:
        """As that of the base.

        Raises:
            TooMuchError: more was read than a picture needs.
        """
        end = len(super().readline(size))
        self.seek(-end, io.SEEK_CUR)
        return self.read(end)


def check_blocks(data: bytes) -> None:
    """Refuse a file whose tags would be read before its size in pixels is known.

    Raises:
        TooMuchError: they take far more memory than the file.
    """
    if data.startswith(_TIFF_HEADS):
        check_tags(data)
    elif data.startswith(b"\xff\xd8"):
        for block in _jpeg_blocks(data):
            check_tags(block)
    elif data.startswith(b"\x89PNG") and (texts := data.count(b"zTXt") + data.count(b"iTXt")) > _MAX_TEXTS:
        raise TooMuchError(f"at most {_MAX_TEXTS} packed texts", str(texts))
    elif data[:2] in {b"P1", b"P2", b"P3"} and (comments := data.count(b"#")) > _MAX_COMMENTS:
        raise TooMuchError(f"at most {_MAX_COMMENTS} comments", str(comments))
    elif data[4:8] == b"ftyp":
        for head in _TIFF_HEADS:
            for found in re.finditer(re.escape(head), data):
                check_tags(data[found.start() : found.start() + _MAX_EXIF_BYTES])


def check_tags(block: bytes) -> None:
    """Refuse the first directory of tags in a TIFF file or EXIF block if its values take far more than the block.

    Raises:
        TooMuchError: they do, or there are too many.
    """
    block = re.sub(b"^(Exif\0\0){1,2}", b"", block)
    order, big = "<" if block[:2] == b"II" else ">", block[2:4] in {b"+\0", b"\0+"}
    try:
        (at,) = struct.unpack_from(order + ("Q" if big else "I"), block, 8 if big else 4)
        if at >= len(block):
            raise TooMuchError("tags inside the file", f"tags at byte {at} of {len(block)}")
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), block, at)
    except struct.error:  # Pillow refuses it without reading on
        return
    if count > _MAX_TAGS:
        raise TooMuchError(f"at most {_MAX_TAGS} tags", str(count))
    at, size = (at + 8, 20) if big else (at + 2, 12)
    table = block[at : at + count * size]
    total = 0
    for tag, kind, values, place in struct.iter_unpack(
        order + ("HHQQ" if big else "HHII"), table[: len(table) // size * size]
    ):
        total += min(values * _VALUE_BYTES.get(kind, 0), max(0, len(block) - place) + size)
        if values > _MAX_VALUES and total > _MAX_VALUES and (kind not in _BYTE_STRINGS or tag in _LISTED):
            raise TooMuchError(f"at most {_MAX_VALUES} values of tag {tag}", str(values))
    if total > 4 * len(block) + _SPARE_BYTES // 16:
        raise TooMuchError("tags that share no bytes", f"tags of {total} bytes in {len(block)}")


def pixel_limit(image: Any, size: int) -> int:
    """Pixels that an image of Pillow, of which the header was read, may have in a file of `size` bytes."""
    from PIL import Image  # noqa: PLC0415

    codecs = {tile[0] for tile in getattr(image, "tile", ())}
    if "fits_gzip" in codecs:  # unpacks everything before it looks
        return 0
    small = _SMALL_IN_FLOATS if image.mode in {"F", "I"} else _PIXELS_OF_A_SMALL_FILE.get(image.format, _SMALL)
    limit = min(config.max_pixels(), small + _PIXELS_PER_BYTE * size, _MOST_PIXELS.get(image.format, config.MAX_PIXELS))
    return min(limit, MAX_SLOW_PIXELS) if codecs & set(Image.DECODERS) else limit


def pixels_to_decode(image: Any, data: bytes) -> int:
    """Pixels of `image`, or of one of its tiles, since a small TIFF picture may state huge ones, or of one in an icon.

    Raises:
        TooMuchError: its format takes fewer bytes, or it has too many scans.
    """
    if image.format == "JPEG2000" and len(data) > MAX_JPEG2000_BYTES:
        raise TooMuchError(f"at most {MAX_JPEG2000_BYTES} bytes of JPEG 2000", str(len(data)))
    tags = getattr(image, "tag_v2", {})
    tile_width, tile_height = (int(tags.get(side, 0)) for side in _TILE_SIDES)
    pixels = max(int(image.width) * int(image.height), tile_width * tile_height)
    if image.format in {"ICO", "CUR", "ICNS"}:
        inner = (struct.unpack(">II", match[1] + match[2]) for match in re.finditer(_INNER_PICTURES, data))
        pixels = max([pixels, *(width * height for width, height in inner)])
    if image.format in {"JPEG", "MPO"} and (scans := data.count(b"\xff\xda")) * pixels > _MAX_SCANNED_PIXELS:
        raise TooMuchError(f"at most {_MAX_SCANNED_PIXELS // pixels} scans of {pixels} pixels", str(scans))
    return pixels


def _jpeg_blocks(data: bytes) -> Iterator[bytes]:
    """The EXIF block, which may lie in several segments, and the directories of further pictures."""
    exif = bytearray()
    for code, content in _segments(data):
        if code == 0xE1 and content.startswith(b"Exif\0\0"):
            exif += content[6:]
            if len(exif) > _MAX_EXIF_BYTES:
                raise TooMuchError(f"at most {_MAX_EXIF_BYTES} bytes of EXIF", "more")
        elif code == 0xE2 and content.startswith(b"MPF\0"):
            yield content[4:]
    yield bytes(exif)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(code, content) of each segment of a JPEG before its pixels; bytes that belong to none are skipped."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data) or data[at + 1] == 0xDA:
            return
        code = data[at + 1]
        if code < 0xC0 or 0xD0 <= code <= 0xD9 or code == 0xFF:  # alone, or padding
            at += 1
            continue
        length = max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
        yield code, data[at + 4 : at + 2 + length]
        at += 2 + length
    raise TooMuchError(f"at most {_MAX_SEGMENTS} segments", "more")
