"""Image files, their bytes and PIL images to pixels. All three go through Pillow, so one picture gives one answer."""

from __future__ import annotations

import importlib
import io
import stat
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.errors import ModelInputError
from inference_models.preprocess.pixels import SourceImage, checked_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from inference_models.arrays import NumpyArray
    from inference_models.preprocess.pixels import ArrayFormat

MAX_PIXELS = 178_956_970
"""Width x height of an image file at most: where `PIL.Image.open` refuses too (537 MB of pixels)."""
MAX_QOI_PIXELS = 1 << 23
"""The same for QOI, which Pillow decodes in Python: 5 microseconds a pixel, and 62 pixels may take one byte."""
MAX_FILE_BYTES = 1 << 30
"""Size of an image file at most."""

_SKIPPED = frozenset({"EPS"})
"""Formats that are programs: Pillow starts Ghostscript to run them."""
_NOT_THIS_FORMAT = (SyntaxError, IndexError, TypeError, struct.error)
"""What a reader of Pillow raises when the file is in another format after all, as in `PIL.Image.open`."""
_ORIENTATION = 0x0112
_TILE_SIDES = (0x0142, 0x0143)
_RESAVE = "copy or download the file again, or save it as PNG or JPEG in an image viewer"


def read_image(path: str | PathLike[str], array_format: ArrayFormat, *, label: str) -> SourceImage:
    """The picture in the file `path`, as `from_pil` gives it.

    Raises:
        ModelInputError: there is no such file, or `decode_image` refuses it; the text starts with `label`.
    """
    return decode_image(_read_bytes(Path(path), label), array_format, label=label)


def decode_image(data: bytes | bytearray | memoryview, array_format: ArrayFormat, *, label: str) -> SourceImage:
    """The picture in the bytes of an image file, as `from_pil` gives it; of several frames the first.

    Raises:
        ModelInputError: the bytes are no image, cut short, damaged or too large; the text starts with `label`.
    """
    data = bytes(data)
    try:
        image = _identified(data)
        limit = MAX_QOI_PIXELS if image is not None and image.format == "QOI" else MAX_PIXELS
        pixels = 0 if image is None else _pixels_to_decode(image)
    except Exception as exc:
        # Each of Pillow's forty readers raises what its bytes lead to, warnings of a strict process included.
        raise _unreadable(label, "file", f"{len(data)} bytes; {_reason(exc)}") from exc
    if image is None:
        raise ModelInputError(
            f"{label}: not an image file.",
            needs="JPEG, PNG, WebP, TIFF, BMP, GIF, PNM, JPEG 2000, AVIF or another format that Pillow opens",
            found=f"{len(data)} bytes that start with {data[:8]!r}" if data else "0 bytes",
            fix=_RESAVE,
        )
    if pixels > limit:
        raise ModelInputError(
            f"{label}: the {image.format} file says it is {image.width} x {image.height} pixels.",
            needs=f"at most {limit} pixels",
            found=str(pixels),
            fix="scale the image down, or cut it into tiles, before it is passed",
        )
    return from_pil(image, array_format, label=label)


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
    try:
        image.load()
        image = _upright(image)
        if image.mode in {"F", "I"} or image.mode.startswith("I;16"):
            pixels = np.asarray(image)[..., None]
        else:
            # By way of RGBA, as Pillow warns when the alpha values of a palette get lost.
            image = image.convert("RGBA") if image.mode == "P" else image
            pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except Exception as exc:
        raise _unreadable(label, "image", f"{_reason(exc)}, mode {image.mode}") from exc
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize > 1:
        pixels = _upper_bits(pixels, label)
    return checked_source(pixels, "rgb", array_format.value_range, label)


def _read_bytes(path: Path, label: str) -> bytes:
    try:
        status = path.stat()
    except FileNotFoundError:
        fix = "check the path" if path.is_absolute() else f"check the path; it was looked up in {Path.cwd()}"
        raise ModelInputError(f"{label}: there is no such file.", fix=fix) from None
    except (OSError, ValueError) as exc:
        raise _unopened(label, exc) from exc
    if stat.S_ISDIR(status.st_mode):
        raise ModelInputError(f"{label}: a folder, not a file.", fix="pass a list of the paths of its files")
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
        raise ModelInputError(
            f"{label}: this is not read as an image.",
            needs=f"a regular file of at most {MAX_FILE_BYTES} bytes",
            found=f"{status.st_size} bytes" if stat.S_ISREG(status.st_mode) else "a device, pipe or socket",
            fix="decode it yourself and pass the pixels as a NumPy array",
        )
    try:
        return path.read_bytes()
    except OSError as exc:
        raise _unopened(label, exc) from exc


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
    for kind in _kinds():
        opens, recognises = Image.OPEN[kind]
        matches: object = False
        try:
            matches = recognises is None or recognises(data[:16])
            if matches and not isinstance(matches, str):
                return opens(io.BytesIO(data), "")
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


def _import_jpeg() -> None:
    importlib.import_module("PIL.JpegImagePlugin")


def _pixels_to_decode(image: Any) -> int:
    """Pixels of `image`, or of one of its tiles: a small TIFF picture may state huge ones."""
    tags = getattr(image, "tag_v2", {})
    width, height = (int(tags.get(side, 0)) for side in _TILE_SIDES)
    return max(int(image.width) * int(image.height), width * height)


def _upright(image: Any) -> Any:
    from PIL import Image  # noqa: PLC0415

    turn = Image.Transpose
    turns = {2: turn.FLIP_LEFT_RIGHT, 3: turn.ROTATE_180, 4: turn.FLIP_TOP_BOTTOM, 5: turn.TRANSPOSE}
    turns |= {6: turn.ROTATE_270, 7: turn.TRANSVERSE, 8: turn.ROTATE_90}
    try:
        method = turns.get(image.getexif().get(_ORIENTATION))
    except Exception:  # noqa: BLE001 - a damaged EXIF block raises what its bytes lead to; the pixels are whole
        return image
    return image if method is None else image.transpose(method)


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


def _unreadable(label: str, kind: str, found: str) -> ModelInputError:
    return ModelInputError(
        f"{label}: the {kind} cannot be read.",
        needs="an undamaged image that Pillow can open",
        found=found,
        fix=_RESAVE,
    )


def _reason(exc: Exception) -> str:
    return f"{type(exc).__name__}: {str(exc)[:200]}"
