"""The characters a reader of text can write: in the metadata of its graph, or in `inference.yml` of PaddleOCR."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.onnx_file import read_onnx_file
from inference_models.package.text_files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METADATA = "character"
"""In an ONNX file: one per line."""
_LIST = re.compile(r"^( *)character_dict: *\n((?:\1 *- ?.*(?:\n|\Z))+)", re.MULTILINE)
_ITEM = re.compile(r"^ *- ?(.*)$", re.MULTILINE)


def read_characters(graph: Path, config: Path | None) -> tuple[str, ...]:
    """Character 0, 1, ...

    Args:
        graph: The file of the graph.
        config: `inference.yml`, which goes first; None: there is none.

    Raises:
        CorruptedModelPackageError: neither lists any.
    """
    if config is not None:
        listed = _LIST.search(read_text(config, where=config.name))
        characters = tuple(_scalars(listed[2])) if listed else ()
    else:
        text = read_onnx_file(graph).metadata.get(METADATA, "") if graph.suffix == ".onnx" else ""
        characters = tuple(text.split("\n")) if text else ()
    if characters:
        return characters
    raise CorruptedModelPackageError(
        f"{graph.name} does not say which characters it reads.",
        needs="character_dict in inference.yml, or 'character' in the metadata of an ONNX graph",
        found="neither" if config is None else f"{config.name} without character_dict",
        fix="put the inference.yml of the model beside the graph",
    )


def _scalars(text: str) -> Iterator[str]:
    """The items of a list in YAML, each in quotes or as it is."""
    for item in _ITEM.findall(text):
        if len(item) > 1 and item[0] == item[-1] == "'":
            yield item[1:-1].replace("''", "'")
        elif len(item) > 1 and item[0] == item[-1] == '"':
            yield _unescaped(item)
        else:
            yield item


def _unescaped(item: str) -> str:
    try:
        return str(ast.literal_eval(item))
    except (ValueError, SyntaxError):
        return item[1:-1]
