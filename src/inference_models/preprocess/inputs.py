"""Turns the images of a call (paths, bytes, arrays, tensors, PIL images, or lists of them) into `SourceImage`s."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from inference_models.arrays import is_torch
from inference_models.entities import ColorFormat
from inference_models.errors import InvalidParameterError, ModelInputError
from inference_models.preprocess.decode import decode_image, from_pil, is_pil, read_image
from inference_models.preprocess.pixels import (
    ArrayFormat,
    InputRange,
    SourceImage,
    from_numpy,
    from_torch,
    refuse_tensor_without_pixels,
)
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ImageList", "InputRange", "SourceImage", "list_images", "load_images"]

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://|(?P<data>data):", re.ASCII)


class ImageList(Record, frozen=True, eq=False):
    """The caller's images, none of them decoded or copied yet."""

    items: Sequence[Any]
    """One element per image; a batch array is its own sequence."""
    array_format: ArrayFormat
    counted: bool
    """Errors say `image 3 of 8`; False for one image that was not in a list."""

    def __len__(self) -> int:
        """Number of images, at least 1."""
        return len(self.items)

    def load(self, start: int = 0, stop: int | None = None) -> list[SourceImage]:
        """Images `start` to `stop` (exclusive; None: the last), decoded and checked.

        Raises:
            ModelInputError: an image cannot be used; `index` is its position in the whole list.
        """
        return [self._load(index) for index in range(start, len(self) if stop is None else min(stop, len(self)))]

    def _load(self, index: int) -> SourceImage:
        label = f"image {index + 1} of {len(self)}" if self.counted else "image"
        try:
            return _load_one(self.items[index], self.array_format, label)
        except ModelInputError as exc:
            exc.index = index
            raise


def load_images(
    images: object, *, input_color_format: ColorFormat | None = None, input_range: InputRange | None = None
) -> list[SourceImage]:
    """Every image in `images`, decoded and checked; arguments and errors as for `list_images`.

    Raises:
        InvalidParameterError: an option has a value that makes no sense.
        ModelInputError: nothing was passed, or an image cannot be used.
    """
    return list_images(images, input_color_format=input_color_format, input_range=input_range).load()


def list_images(
    images: object, *, input_color_format: ColorFormat | None = None, input_range: InputRange | None = None
) -> ImageList:
    """`images` as a list that decodes on demand, so that a long one is never in memory at once.

    Args:
        images: One image, or a list or tuple of them, kinds mixed as you like: a NumPy array (H, W, 3) uint8
            blue first, a torch tensor (3, H, W) uint8 red first, a PIL image, the path of an image file, or its
            bytes. A batch array (B, H, W, 3) or tensor (B, 3, H, W) is B images. URLs are never fetched.
        input_color_format: `rgb` or `bgr`: the channel order of arrays and tensors that differ from the above.
            Files, bytes and PIL images state theirs.
        input_range: `0-1` or `0-255`: the range of float arrays, tensors and image files.

    Raises:
        InvalidParameterError: an option has a value that makes no sense.
        ModelInputError: the list is empty.
    """
    _refuse_unknown("input_color_format", input_color_format, get_args(ColorFormat))
    _refuse_unknown("input_range", input_range, get_args(InputRange))
    array_format = ArrayFormat(input_color_format, input_range)
    if is_torch(images):
        refuse_tensor_without_pixels(images, "images")
    is_batch = (isinstance(images, np.ndarray) or is_torch(images)) and getattr(images, "ndim", 0) == 4
    if not is_batch and not isinstance(images, list | tuple):
        return ImageList((images,), array_format, counted=False)
    items: Any = images
    if len(items) == 0:
        raise ModelInputError(
            "there is no image to run on.",
            needs="at least one image",
            found=f"a batch of shape {tuple(items.shape)}" if is_batch else f"an empty {type(images).__name__}",
            fix="skip the call when there is nothing to do",
        )
    return ImageList(items, array_format, counted=True)


def _load_one(item: object, array_format: ArrayFormat, label: str) -> SourceImage:
    if isinstance(item, np.ndarray):
        return from_numpy(item, array_format, label=label)
    if is_torch(item):
        return from_torch(item, array_format, label=label)
    if isinstance(item, bytes | bytearray | memoryview):
        return decode_image(item, array_format, label=label)
    if isinstance(item, str | os.PathLike):
        return _load_file(item, array_format, label)
    if is_pil(item):
        return from_pil(item, array_format, label=label)
    raise ModelInputError(
        f"{label}: {_describe(item)} is not an image.",
        needs="a NumPy array, torch tensor, PIL image, path, or the bytes of an image file",
        found=_describe(item),
        fix=_type_fix(item),
    )


def _load_file(path: str | os.PathLike[str], array_format: ArrayFormat, label: str) -> SourceImage:
    text = os.fsdecode(path)
    url = _URL.match(text) if isinstance(path, str) else None
    if url is not None:
        scheme = url["scheme"] or url["data"]
        # The rest of a URL may be a signature or a password, so it is not repeated.
        raise ModelInputError(
            f"{label}: a URL ({scheme}:...) is not an image; images are never fetched.",
            fix="fetch it yourself, then pass its bytes or the path of the file",
        )
    if os.path.splitext(text)[1].lower() in VIDEO_SUFFIXES:  # noqa: PTH122 - text may be no path
        raise ModelInputError(
            f"{label}: {os.path.basename(text)!r} is a video; a call takes pictures.",  # noqa: PTH119
            fix="read its frames with cv2.VideoCapture(path) and pass each: found, frame = video.read()",
        )
    shown = text if len(text) <= 200 else f"{text[:80]}...{text[-40:]}"
    return read_image(text, array_format, label=f"{label} ({shown!r})")


def _describe(item: object) -> str:
    name = type(item).__name__
    article = "an" if name[0] in "aeiouAEIOU" else "a"
    return "None" if item is None else f"{article} {name}"


def _type_fix(item: object) -> str:
    if item is None:
        return "cv2.imread returns None for a file that it cannot read: pass the path itself"
    if isinstance(item, Mapping):
        return f"pass the image in it: images[{next(iter(item), 'image')!r}]"
    if isinstance(item, list | tuple):
        return "pass a flat list of images; numbers belong in a NumPy array"
    return next((fix for method, fix in _FIXES.items() if hasattr(item, method)), "convert it with np.asarray(...)")


_FIXES = {
    "grab": "read a frame of it first: found, frame = video.read(); then model(frame)",
    "read": "pass its content: file.read()",
    "__iter__": "make a list of it first: list(images)",
}
"""By a method that tells what was passed."""


def _refuse_unknown(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise InvalidParameterError(
            f"{name}={value!r} makes no sense.",
            needs=" or ".join(repr(word) for word in allowed),
            found=repr(value),
            fix=f"pass one of them, or leave {name} out",
        )
