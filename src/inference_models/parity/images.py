"""The images that answers are compared on: sixteen that come with the library, or files of the user.

One of the sixteen is a photograph of a person (NASA, public domain), the others are drawn. They drive a model through
every size and kind of input: both orientations, 1:8, tiny, grey, smooth, noisy, blurred, dark, empty, faces, a street,
and pages with text.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import cv2
import numpy as np

from inference_models.errors import InvalidParameterError, ModelInputError
from inference_models.files.digest import file_digest
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from inference_models.arrays import NumpyArray

Image: TypeAlias = "NumpyArray | Path"
DRAWINGS = Path(__file__).parent / "drawings"
"""PNG, so that every decoder gives the same pixels."""
MOST_FILES = 200


class ImageSet(Record, frozen=True):
    """Some images, and what tells them apart from others."""

    kind: Literal["probe", "files"]
    images: tuple[Image, ...]
    digest: str
    """SHA-256 over the SHA-256 of each, in their order."""

    @property
    def noun(self) -> str:
        """For reports."""
        return "probe images" if self.kind == "probe" else "images"


def probe_images(count: int | None = None) -> list[NumpyArray]:
    """Sixteen (H, W, 3) uint8 BGR images, or the first `count` of them: the same on every machine."""
    names = ("shapes", "face", "faces", "street", "page", "line", "photo")
    drawings: Any = [cv2.imread(str(DRAWINGS / f"{name}.png")) for name in names]
    shapes, face, faces, street, page, line, photo = drawings
    y, x = np.mgrid[:400, :400]
    noise = np.arange(256 * 320 * 3, dtype=np.uint32) ** 2 * np.uint32(2654435761) >> np.uint32(24)
    pictures = (
        shapes,
        face,
        faces,
        street,
        page,
        np.rot90(page),
        line,
        np.rot90(line),
        shapes[::28, ::27],
        np.repeat(street[::2, ::2, 1:2], 3, axis=2),
        photo,
        np.stack([y // 2, (x + y) // 4, 255 - x // 2], axis=2)[:300],
        noise.reshape(256, 320, 3),
        sum(shapes[row : row + 433, row : row + 593].astype(np.int64) for row in range(0, 45, 3)) // 15,
        face[:320, :320] // 5 + 8,
        np.full((224, 224, 3), 255),
    )
    return [np.ascontiguousarray(picture, dtype=np.uint8) for picture in pictures[:count]]


def probe_set(count: int | None = None) -> ImageSet:
    """The images that come with the library, or the first `count` of them."""
    images = tuple(probe_images(count))
    hashes = (sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest() for image in images)
    return ImageSet("probe", _some(images), _digest(hashes))


def file_set(files: Sequence[Path], count: int | None = None) -> ImageSet:
    """The first `count` files, at most 200 unless said otherwise.

    Raises:
        ModelInputError: one of them cannot be read.
        InvalidParameterError: there are none.
    """
    chosen = _some(tuple(files[: MOST_FILES if count is None else count]))
    return ImageSet("files", chosen, _digest(map(_file_hash, chosen)))


def _file_hash(path: Path) -> str:
    try:
        return file_digest(path).sha256
    except OSError as exc:
        raise ModelInputError(
            f"'{path}' cannot be read.", needs="an image file", found=exc.strerror or type(exc).__name__
        ) from exc


def _digest(hashes: Iterable[str]) -> str:
    return sha256("\n".join(hashes).encode()).hexdigest()


def _some(images: tuple[Any, ...]) -> tuple[Any, ...]:
    if not images:
        raise InvalidParameterError("there is no image to compare answers on.", needs="at least one", found="none")
    return images
