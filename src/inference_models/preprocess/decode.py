"""Image files, their bytes and PIL images to pixels. All three go through Pillow, so one picture gives one answer."""

from __future__ import annotations

import importlib
import math
import os
import stat
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.errors import ModelInputError
from inference_models.preprocess.bounds import (
    MAX_FILE_BYTES,
    MAX_SLOW_PIXELS,
    MeteredFile,
    TooMuchError,
    check_blocks,
    check_tags,
    pixel_limit,
    pixels_to_decode,
)
from inference_models.preprocess.pixels import SourceImage, checked_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from inference_models.arrays import NumpyArray
    from inference_models.preprocess.pixels import ArrayFormat

_SKIPPED = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG"})
"""EPS files are programs, which Pillow starts Ghostscript to run; of the others it knows nothing but the header."""
_NOT_THIS_FORMAT = (SyntaxError, IndexError, TypeError, struct.error)
"""What a reader of Pillow raises when the file is in another format after all, as in `PIL.Image.open`."""
_ORIENTATION = 0x0112
_PART_PIXELS = 1 << 22
_READS_PER_PIXEL = 2
"""Of the decoders in Python: QOI reads what comes, then the colours."""
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_RESAVE = "copy or download the file again, or save it as PNG or JPEG in an image viewer"


def read_image(path: str | PathLike[str], array_format: ArrayFormat, *, label: str) -> SourceImage:
    """The picture in the file `path`, as `from_pil` gives it.

    Raises:
        ModelInputError: there is no such file, or `decode_image` refuses it; the text starts with `label`.
    """
    return decode_image(_read_bytes(Path(path), label), array_format, label=label)


def decode_image(data: bytes | bytearray | memoryview, array_format: ArrayFormat, *, label: str) -> SourceImage:
    """The picture in the bytes of an image file, as `from_pil` gives it; of several frames the first.

    It takes at most ten seconds, and 256 MB beside three times the bytes of the file and of its pixels, 3 for each.

    Raises:
        ModelInputError: the bytes are no image, cut short, damaged or too large; the text starts with `label`.
    """
    # No name here holds the image: once it is turned, its first form is gone.
    return from_pil(_opened(data, label), array_format, label=label)


def _opened(data: bytes | bytearray | memoryview, label: str) -> Any:
    """The image of Pillow in `data`, not decoded yet, of which no more is wanted than a picture may cost."""
    if memoryview(data).nbytes > MAX_FILE_BYTES:
        raise _too_large(label, f"at most {MAX_FILE_BYTES} bytes", f"{memoryview(data).nbytes} bytes")
    data = bytes(data)
    try:
        check_blocks(data)
        image = _identified(data)
        if image is not None and image.tile and image.tile[0][0] == "ppm":
            image = _scaled(image, data)
        limit, pixels = (0, 0) if image is None else (pixel_limit(image, len(data)), pixels_to_decode(image, data))
    except TooMuchError as exc:
        raise _costly(label, exc) from exc
    except Exception as exc:
        # Each of Pillow's forty readers raises what its bytes lead to, warnings of a strict process included.
        raise _damaged(label, f"{len(data)} bytes that start with {data[:8]!r}") from exc
    if image is None:
        raise ModelInputError(
            f"{label}: not an image file.",
            needs="JPEG, PNG, WebP, TIFF, BMP, GIF, PNM, JPEG 2000, AVIF or another format that Pillow opens",
            found=f"{len(data)} bytes that start with {data[:8]!r}" if data else "0 bytes",
            fix=_RESAVE,
        )
    if pixels > limit:
        raise ModelInputError(
            f"{label}: the {image.format} file of {len(data)} bytes says it is {image.width} x {image.height} pixels.",
            needs=f"at most {limit} pixels",
            found=str(pixels),
            fix="scale the image down, or cut it into tiles, before it is passed",
        )
    stream = getattr(image, "fp", None)
    if isinstance(stream, MeteredFile):
        stream.steps += _READS_PER_PIXEL * min(pixels, MAX_SLOW_PIXELS)
    return image


def is_pil(value: object) -> bool:
    """Whether `value` is a PIL image; does not import PIL."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def from_pil(image: Any, array_format: ArrayFormat, *, label: str) -> SourceImage:
    """`image` of any mode as red, green and blue, upright as its EXIF or XMP data says.

    Palettes and inks become colours, alpha is dropped, 16-bit grey becomes its upper 8 bits; mode F needs the range
    in `array_format`, as float arrays do.

    Raises:
        ModelInputError: the file behind it is damaged, or its values cannot be used; the text starts with `label`.
    """
    what = f"{image.format or 'PIL'} image of {image.width} x {image.height} pixels, mode {image.mode}"
    try:
        _load(image)
        image = _upright(image)
        pixels = np.asarray(image)[..., None] if image.mode == "F" else _in_parts(image, label)
    except TooMuchError as exc:
        raise _costly(label, exc) from exc
    except ModelInputError:
        raise
    except Exception as exc:
        raise _damaged(label, what) from exc
    return checked_source(pixels, "rgb", array_format.value_range, label)


def _load(image: Any) -> None:
    """The pixels of an image that a caller opened; of a TIFF file read, and not mapped into memory.

    Pillow 13.0 maps rows as long as those of the turned picture, so that one on its side is mixed up.
    """
    name = getattr(image, "filename", "")
    if image.format == "TIFF":
        image.filename = ""
    try:
        image.load()
    finally:
        if image.format == "TIFF":
            image.filename = name


def _in_parts(image: Any, label: str) -> NumpyArray:
    """(H, W, 3) uint8, of deep grey (H, W, 1); in parts, so that a large image is never in memory in three forms."""
    deep = image.mode.startswith("I")
    pixels = np.empty((image.height, image.width, 1 if deep else 3), np.uint8)
    rows = max(1, _PART_PIXELS // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        part = image if bottom - top == image.height else image.crop((0, top, image.width, bottom))
        if deep:
            pixels[top:bottom, :, 0] = _upper_bits(np.asarray(part), label)
            continue
        # By way of RGBA, as Pillow warns when the alpha values of a palette get lost.
        part = part.convert("RGBA") if part.mode == "P" else part
        pixels[top:bottom] = np.asarray(part if part.mode == "RGB" else part.convert("RGB"))
    return pixels


def _read_bytes(path: Path, label: str) -> bytes:
    """The content of a regular file, without waiting for one that only looks like it."""
    try:
        # Before it is opened, since opening a device can do things.
        _check_file(path.stat(), label)
        with os.fdopen(os.open(path, os.O_RDONLY | _AT_ONCE), "rb") as stream:
            return stream.read(_check_file(os.fstat(stream.fileno()), label))
    except ModelInputError:
        raise
    except FileNotFoundError:
        fix = "check the path" if path.is_absolute() else f"check the path; it was looked up in {Path.cwd()}"
        if "*" in path.name:
            fix = f"pass the files that it matches: sorted(glob.glob({str(path)!r}))"
        raise ModelInputError(f"{label}: there is no such file.", fix=fix) from None
    except (OSError, ValueError) as exc:
        raise _unopened(label, exc) from exc


def _check_file(status: os.stat_result, label: str) -> int:
    if stat.S_ISDIR(status.st_mode):
        raise ModelInputError(f"{label}: a folder, not a file.", fix="pass a list of the paths of its files")
    regular = stat.S_ISREG(status.st_mode)
    if not regular or status.st_size > MAX_FILE_BYTES:
        found = f"{status.st_size} bytes" if regular else "a device, pipe or socket"
        raise _too_large(label, f"a regular file of at most {MAX_FILE_BYTES} bytes", found)
    return status.st_size


def _too_large(label: str, needs: str, found: str) -> ModelInputError:
    fix = "decode it yourself and pass the pixels as a NumPy array"
    return ModelInputError(f"{label}: this is not read as an image.", needs=needs, found=found, fix=fix)


def _unopened(label: str, exc: OSError | ValueError) -> ModelInputError:
    # A ValueError is a null character in the name; every Python says it in other words.
    reason = exc.strerror if isinstance(exc, OSError) else "its name holds a null character"
    return ModelInputError(f"{label}: the file cannot be read: {reason}.", fix="check the path and its permissions")


def _identified(data: bytes) -> Any:
    """The image in `data` with its header read, or None when it is in no known format.

    Like `PIL.Image.open`, which warns of large sizes (in a way that no thread can silence for itself) and opens
    formats that start programs.
    """
    from PIL import Image  # noqa: PLC0415 - imported with the first file

    mismatch: Exception | None = None
    stream = MeteredFile(data)
    for kind in _kinds():
        opens, recognises = Image.OPEN[kind]
        matches: object = False
        try:
            matches = recognises is None or recognises(data[:16])
            if matches and not isinstance(matches, str):
                stream.seek(0)
                return opens(stream, "")
        except _NOT_THIS_FORMAT as exc:
            mismatch = mismatch or (exc if matches and recognises is not None else None)
    if mismatch is not None:
        raise mismatch
    return None


def _kinds() -> Iterator[str]:
    """The names of Pillow's formats; each group of readers is imported when those before it do not fit."""
    from PIL import Image  # noqa: PLC0415

    seen = set(_SKIPPED)
    for import_readers in (_import_jpeg, Image.preinit, Image.init):
        import_readers()
        # Other threads may be importing readers, which come into `OPEN` last.
        fresh = [kind for kind in list(Image.OPEN) if kind not in seen]
        seen.update(fresh)
        yield from fresh


def _scaled(image: Any, data: bytes) -> Any:
    """The pixels of a PNM file of an odd maximum; Pillow goes through them in Python, at 6 microseconds each."""
    from PIL import Image  # noqa: PLC0415

    _, _, start, (_, maximum) = image.tile[0]
    top, dtype = (65535, np.int32) if image.mode == "I" else (255, np.uint8)
    wide = maximum > 255
    table = np.array([min(top, round(value / maximum * top)) for value in range(1 << (16 if wide else 8))], dtype)
    shape = (image.height, image.width, *[len(image.getbands())] * (len(image.getbands()) > 1))
    values = np.frombuffer(data, ">u2" if wide else np.uint8, math.prod(shape), start)
    return Image.fromarray(table[values].reshape(shape))


def _import_jpeg() -> None:
    importlib.import_module("PIL.JpegImagePlugin")


def _upright(image: Any) -> Any:
    from PIL import Image  # noqa: PLC0415

    turn = Image.Transpose
    turns = {2: turn.FLIP_LEFT_RIGHT, 3: turn.ROTATE_180, 4: turn.FLIP_TOP_BOTTOM, 5: turn.TRANSPOSE}
    turns |= {6: turn.ROTATE_270, 7: turn.TRANSVERSE, 8: turn.ROTATE_90}
    try:
        check_tags(_exif(image))
        method = turns.get(image.getexif().get(_ORIENTATION))
    except TooMuchError:
        raise
    except Exception:  # noqa: BLE001 - a damaged EXIF block raises what its bytes lead to; the pixels are whole
        return image
    return image if method is None else image.transpose(method)


def _exif(image: Any) -> bytes:
    """The block that Pillow is going to read for the orientation; of a TIFF file nothing, whose tags it has read."""
    lines = image.info.get("Raw profile type exif", "").split("\n")[3:]
    return image.info.get("exif") or bytes.fromhex("".join(lines))


def _upper_bits(values: NumpyArray, label: str) -> NumpyArray:
    """16-bit grey, which Pillow opens in mode I;16 or I, as 8 bits; Pillow does the same with 16-bit colours."""
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 or highest > 65535:
        raise ModelInputError(
            f"{label}: the image of mode I holds values that are not 16-bit grey.",
            needs="values from 0 to 65535",
            found=f"values from {lowest} to {highest}",
            fix="scale it to 8 bits: image.point(...).convert('L')",
        )
    return (values >> 8).astype(np.uint8)


def _damaged(label: str, found: str) -> ModelInputError:
    needs = "a whole, undamaged image file"
    return ModelInputError(f"{label}: the image is damaged or cut short.", needs=needs, found=found, fix=_RESAVE)


def _costly(label: str, exc: TooMuchError) -> ModelInputError:
    return ModelInputError(
        f"{label}: reading the file would cost far more than a picture of its size.",
        needs=exc.needs,
        found=exc.found,
        fix="save it again as PNG or JPEG in an image viewer",
    )
