"""The images that answers are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, TypeAlias

from inference_models.errors import InvalidParameterError, ModelInputError
from inference_models.files.digest import file_digest
from inference_models.parity.images import probe_images

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from inference_models.arrays import NumpyArray

Image: TypeAlias = "NumpyArray | Path"
MOST_FILES = 200


@dataclass(frozen=True)
class ImageSet:
    """Some images, and what tells them apart from others."""

    kind: Literal["probe", "files"]
    images: tuple[Image, ...]
    digest: str
    """SHA-256 over the SHA-256 of each, in their order."""

    @property
    def noun(self) -> str:
        """For reports."""
        return "probe images" if self.kind == "probe" else "images"


def probe_set(count: int | None = None) -> ImageSet:
    """The pictures that are made by code, or the first `count` of them."""
    images = probe_images(count)
    _refuse_none(len(images))
    return ImageSet("probe", tuple(images), _digest(f"{image.shape}".encode() + image.tobytes() for image in images))


def file_set(files: Sequence[Path], count: int | None = None) -> ImageSet:
    """The first `count` files, at most 200 unless said otherwise.

    Raises:
        ModelInputError: one of them cannot be read.
    """
    chosen = tuple(files[: MOST_FILES if count is None else count])
    _refuse_none(len(chosen))
    return ImageSet("files", chosen, _digest_of_hashes(_file_hash(path) for path in chosen))


def _file_hash(path: Path) -> str:
    try:
        return file_digest(path).sha256
    except OSError as exc:
        raise ModelInputError(
            f"'{path}' cannot be read.", needs="an image file", found=exc.strerror or type(exc).__name__
        ) from exc


def _digest(contents: Iterable[bytes]) -> str:
    return _digest_of_hashes(sha256(content).hexdigest() for content in contents)


def _digest_of_hashes(hashes: Iterable[str]) -> str:
    return sha256("\n".join(hashes).encode()).hexdigest()


def _refuse_none(count: int) -> None:
    if not count:
        raise InvalidParameterError("there is no image to compare answers on.", needs="at least one", found="none")
