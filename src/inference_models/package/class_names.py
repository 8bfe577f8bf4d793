"""`class_names.txt`: one name per line, the line index is the class id."""

from __future__ import annotations

import unicodedata
from os import PathLike
from pathlib import Path

from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from inference_models.package.text_files import read_text

FILE_NAME = "class_names.txt"
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTIONS = frozenset(["LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"])
"""Marks that turn the direction of writing: what is shown is not what is there."""
_LABELS = '"coco", a list of names, or a text file'


def parse_class_names(text: str, *, where: str = FILE_NAME) -> tuple[str, ...]:
    """The names in `text`, stripped, blank lines left out.

    Raises:
        CorruptedModelPackageError: there is no name, or one holds a control character.
    """
    # Only line feeds separate names: str.splitlines would also split at U+2028 and friends.
    names = tuple(name for line in text.replace("\r\n", "\n").split("\n") if (name := line.strip()))
    if not names:
        raise CorruptedModelPackageError(
            f"{where} lists no class.", needs="one name per line", found="only blank lines"
        )
    for index, name in enumerate(names):
        if any(_hides_text(character) for character in name):
            raise CorruptedModelPackageError(
                f"{where}: the name of class {index} cannot be shown.", needs="no control characters", found=ascii(name)
            )
    return names


def read_labels(labels: object) -> tuple[str, ...]:
    """Class names from what `labels=` may be: "coco", the path of a text file, or a list of names.

    Raises:
        InvalidParameterError: it is none of them.
        CorruptedModelPackageError: a name cannot be shown, or there is none.
    """
    if labels == "coco":
        return coco_class_names()
    if isinstance(labels, str | PathLike):
        path = Path(labels).expanduser()
        if path.is_file():
            return parse_class_names(read_text(path, where=path.name), where=path.name)
        raise InvalidParameterError("labels cannot be used.", needs=_LABELS, found=f"no file '{path}'")
    if isinstance(labels, list | tuple) and labels and all(isinstance(name, str) for name in labels):
        return parse_class_names("\n".join(name.replace("\n", "\0") for name in labels), where="labels")
    raise InvalidParameterError("labels cannot be used.", needs=_LABELS, found=ascii(labels)[:80])


def coco_class_names() -> tuple[str, ...]:
    """The 80 names of the COCO detection classes, in the order every YOLO export uses."""
    return parse_class_names(Path(__file__).with_name("coco_names.txt").read_text("utf-8"), where="coco_names.txt")


def _hides_text(character: str) -> bool:
    # Format characters in general stay allowed: several scripts need the joiners among them.
    return unicodedata.category(character) in _CONTROLS or unicodedata.bidirectional(character) in _DIRECTIONS
