"""What `inference.yml`, which PaddleOCR 3 writes beside its graphs, says of their input."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.text_files import read_text
from inference_models.record import Record

if TYPE_CHECKING:
    from pathlib import Path

_MODE = re.compile(r"^ *img_mode: *['\"]?(\w*)", re.MULTILINE)
_SHAPE = re.compile(r"^( *)image_shape: *(?:\[([\d, ]*)\]|((?:\n\1 *- *\d+)+))", re.MULTILINE)
_COLORS: dict[str, Literal["bgr", "rgb"]] = {"BGR": "bgr", "RGB": "rgb"}


class PaddleInput(Record, frozen=True):
    """The input as it is stated; None where nothing is."""

    color: Literal["bgr", "rgb"] | None = None
    size: tuple[int, int] | None = None
    """(height, width) of the image, or of a line of text the least width."""


def read_paddle_input(config: Path | None) -> PaddleInput:
    """What `img_mode` and `image_shape` of the pre-processing say; None: there is no file.

    Raises:
        CorruptedModelPackageError: they ask for grey pictures, or for no picture at all.
    """
    if config is None:
        return PaddleInput()
    text = read_text(config, where=config.name)
    mode, shape = _MODE.search(text), _SHAPE.search(text)
    numbers = [int(number) for number in re.findall(r"\d+", shape[2] or shape[3] or "")] if shape else []
    if (mode and mode[1] not in _COLORS) or (shape and (len(numbers) != 3 or numbers[0] != 3 or 0 in numbers)):
        raise CorruptedModelPackageError(
            f"{config.name} states an input that this architecture does not have.",
            needs="img_mode BGR or RGB, and image_shape of 3 channels, a height and a width",
            found=" and ".join(match[0].strip()[:80] for match in (mode, shape) if match),
        )
    return PaddleInput(_COLORS[mode[1]] if mode else None, (numbers[1], numbers[2]) if shape else None)
