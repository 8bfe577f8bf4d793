"""`class_names.txt`: one name per line, or a JSON list of names; the index is the class id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from inference_models.package.text_files import read_text

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE_NAME = "class_names.txt"
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTIONS = frozenset(["LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"])
"""Marks that turn the direction of writing: what is shown is not what is there."""
DATA_SETS = ("coco", "imagenet", "voc")
"""Names of data sets that `labels=` knows."""
_LABELS = '"coco", "imagenet", "voc", a list of names, or a text file'
NAMES_FIX = "pass labels= with all names in the order of training; leave labels out where the model says them itself"
"""What helps where names and classes are not as many as each other."""
_NOT_HERE = {"openimages": "the 601 names of Open Images"}
"""Data sets whose names no source with a licence for it has brought here."""


def parse_class_names(text: str, *, where: str = FILE_NAME) -> tuple[str, ...]:
    """The names in `text`: stripped lines, of which blank ones before the last name count; or a JSON list of names.

    Raises:
        CorruptedModelPackageError: there is no name, or one holds a control character.
    """
    listed = _json_list(text)
    # Only line feeds separate names: str.splitlines would also split at U+2028 and friends.
    return check_class_names([line.strip() for line in text.rstrip().split("\n")] if listed is None else listed, where)


def format_class_names(names: Sequence[str]) -> str:
    """The text that `parse_class_names` reads as `names`: lines, or a JSON list where lines would not keep them."""
    lines = [name.strip() for name in names]
    fits = lines == list(names) and any(lines[-1:]) and not any("\n" in name for name in lines)
    text = "\n".join(names) + "\n"
    return text if fits and not text.startswith("[") else json.dumps(list(names)) + "\n"


def check_class_names(names: Sequence[str], where: str) -> tuple[str, ...]:
    """`names` as they are, each at its index.

    Raises:
        CorruptedModelPackageError: there is no name, or one holds a control character.
    """
    if not any(map(str.strip, names)):
        raise CorruptedModelPackageError(
            f"{where} lists no class.", needs="one name per line", found="only blank lines"
        )
    for index, name in enumerate(names):
        if not name.isprintable() and any(map(_hides_text, name)):
            raise CorruptedModelPackageError(
                f"{where}: the name of class {index} cannot be shown.", needs="no control characters", found=ascii(name)
            )
    return tuple(names)


def read_labels(labels: object) -> tuple[str, ...]:
    """Class names from what `labels=` may be: a known data set, the path of a text file, or a list of names.

    Raises:
        InvalidParameterError: it is none of them.
        CorruptedModelPackageError: a name cannot be shown, or there is none.
    """
    if isinstance(labels, str) and labels in DATA_SETS:
        return known_class_names(labels)
    if isinstance(labels, str | PathLike):
        path = Path(labels).expanduser()
        if path.is_file():
            return parse_class_names(read_text(path, where=path.name), where=path.name)
        listed = _NOT_HERE.get(str(labels), "the names")
        fix = f"write {listed}, one per line, into a text file, and pass its path"
        raise InvalidParameterError("labels cannot be used.", needs=_LABELS, found=f"no file '{path}'", fix=fix)
    if isinstance(labels, list | tuple) and labels and all(isinstance(name, str) for name in labels):
        return check_class_names([name.strip() for name in labels], "labels")
    fix = "pass a list of texts in the order of training"
    if isinstance(labels, Mapping):
        fix = "pass list(labels.values())"
    elif isinstance(labels, list | tuple) and labels:
        fix = "pass [str(name) for name in labels]"
    raise InvalidParameterError("labels cannot be used.", needs=_LABELS, found=ascii(labels)[:80], fix=fix)


def known_class_names(data_set: str) -> tuple[str, ...]:
    """The names of a data set of `DATA_SETS`, in the order that exported models use."""
    path = Path(__file__).with_name(f"{data_set}_names.txt")
    if data_set == "imagenet":  # BSD-3-Clause, see imagenet_names.LICENSE
        import gzip  # noqa: PLC0415 - only for these

        return parse_class_names(gzip.decompress(path.with_suffix(".txt.gz").read_bytes()).decode())
    return parse_class_names(path.read_text("utf-8"))


def _json_list(text: str) -> list[str] | None:
    if not text.lstrip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) and all(isinstance(name, str) for name in value) else None


def _hides_text(character: str) -> bool:
    import unicodedata  # noqa: PLC0415 - printable names never come here

    # Format characters in general stay allowed: several scripts need the joiners among them.
    if character in "\t\n":
        return False
    return unicodedata.category(character) in _CONTROLS or unicodedata.bidirectional(character) in _DIRECTIONS
