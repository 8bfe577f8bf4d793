"""Image files, and the bytes of image files, to arrays."""

from __future__ import annotations

import stat
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inference_models.errors import ModelInputError
from inference_models.preprocess.headers import format_names, read_header
from inference_models.preprocess.orientation import apply_orientation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from inference_models.arrays import NumpyArray
    from inference_models.preprocess.headers import ImageHeader

MAX_PIXELS = 178_956_970
"""Width x height of an image file at most: the number above which Pillow refuses too (537 MB of pixels)."""
MAX_FILE_BYTES = 1 << 30
"""Size of an image file at most."""

_RESAVE = "open it in an image viewer, save it as PNG or JPEG, and pass the new file"


def read_image(path: str | PathLike[str], *, name: str | None = None) -> NumpyArray:
    """The picture in the file `path`: (H, W, 3) uint8, blue green red, turned upright.

    Args:
        path: A file in one of the formats of `headers.format_names()`.
        name: What to call the image in errors; the path by default.

    Raises:
        ModelInputError: there is no such file, or `decode_image` refuses it.
    """
    name = repr(str(path)) if name is None else name
    return decode_image(_read_bytes(Path(path), name), name=name)


def decode_image(data: bytes | bytearray | memoryview, *, name: str) -> NumpyArray:
    """The picture in the bytes of an image file: (H, W, 3) uint8, blue green red, turned upright.

    Grey, palette, alpha (dropped), CMYK and 16-bit pictures all become three channels of 8 bits; of several
    frames the first is taken.

    Args:
        data: The whole file.
        name: What to call the image in errors.

    Raises:
        ModelInputError: the bytes are no image, cut short, damaged, without pixels or too large.
    """
    data = bytes(data)
    header = _checked_header(data, name)
    pixels = _imdecode(data)
    if pixels is None:
        raise ModelInputError(
            f"{name}: the {header.format} file cannot be decoded.",
            needs=f"an undamaged {header.format} file with 8 or 16 bits per channel",
            found=f"{len(data)} bytes that OpenCV {_opencv_version()} cannot read",
            fix=_RESAVE,
        )
    return apply_orientation(pixels, header.orientation)


def _read_bytes(path: Path, name: str) -> bytes:
    try:
        status = path.stat()
    except FileNotFoundError:
        fix = "check the path" if path.is_absolute() else f"check the path; it was looked up in {Path.cwd()}"
        raise ModelInputError(f"{name}: there is no such file.", fix=fix) from None
    except (OSError, ValueError) as exc:
        raise _unreadable(name, exc) from exc
    if stat.S_ISDIR(status.st_mode):
        raise ModelInputError(f"{name}: a folder, not a file.", fix="pass a list of the paths of its files")
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
        raise ModelInputError(
            f"{name}: this is not read as an image.",
            needs=f"a regular file of at most {MAX_FILE_BYTES} bytes",
            found=f"{status.st_size} bytes" if stat.S_ISREG(status.st_mode) else "a device, pipe or socket",
            fix="decode it yourself and pass the pixels as a NumPy array",
        )
    try:
        return path.read_bytes()
    except OSError as exc:
        raise _unreadable(name, exc) from exc


def _unreadable(name: str, exc: OSError | ValueError) -> ModelInputError:
    # A ValueError is a null character in the name; every Python says it in other words.
    reason = exc.strerror if isinstance(exc, OSError) else "its name holds a null character"
    return ModelInputError(f"{name}: the file cannot be read: {reason}.", fix="check the path and its permissions")


def _checked_header(data: bytes, name: str) -> ImageHeader:
    if not data:
        raise ModelInputError(f"{name}: there are no bytes in it.", needs="an image file", found="0 bytes", fix=_RESAVE)
    header = read_header(data)
    if header is None:
        raise ModelInputError(
            f"{name}: not an image file.",
            needs=format_names(),
            found=f"{len(data)} bytes that start with {data[:8]!r}",
            fix=_RESAVE,
        )
    if header.size is None or not header.complete:
        raise ModelInputError(
            f"{name}: the {header.format} file is damaged or cut short.",
            needs="the whole file",
            found=f"{len(data)} bytes without a valid end",
            fix="copy or download the file again",
        )
    height, width = header.size
    if not 0 < height * width <= MAX_PIXELS:
        raise ModelInputError(
            f"{name}: the {header.format} file says it is {width} x {height} pixels.",
            needs=f"1 to {MAX_PIXELS} pixels",
            found=str(height * width),
            fix="scale the image down, or cut it into tiles, before it is passed",
        )
    return header


def _imdecode(data: bytes) -> NumpyArray | None:
    import cv2  # noqa: PLC0415

    # OpenCV applies the orientation to some formats in some versions; ours is applied to all, once.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    with _opencv_silent():
        try:
            pixels: NumpyArray | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error:
            return None
    return pixels


def _opencv_version() -> str:
    import cv2  # noqa: PLC0415

    return str(cv2.__version__)


_log_lock = threading.Lock()
_log_state = {"users": 0, "level": 0}


@contextmanager
def _opencv_silent() -> Iterator[None]:
    """OpenCV prints nothing meanwhile; the level of the process comes back when the last thread leaves."""
    import cv2  # noqa: PLC0415

    control = getattr(cv2.utils, "logging", cv2)
    with _log_lock:
        if _log_state["users"] == 0:
            _log_state["level"] = control.getLogLevel()
            control.setLogLevel(0)
        _log_state["users"] += 1
    try:
        yield
    finally:
        with _log_lock:
            _log_state["users"] -= 1
            if _log_state["users"] == 0:
                control.setLogLevel(_log_state["level"])
