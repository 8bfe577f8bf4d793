"""Checks the files an ONNX graph points to, before any runtime opens them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NoReturn

from inference_models.errors import CorruptedModelPackageError
from inference_models.files.names import is_portable_handle

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.package.onnx_file import OnnxFile
    from inference_models.package.onnx_tensors import ExternalTensor

_KNOWN = ("location", "offset", "length", "checksum")


def check_external_data(model: OnnxFile, directory: Path) -> None:
    """Refuse a graph that points to anything but regular files of its own folder, or beyond their end.

    Raises:
        CorruptedModelPackageError: names the graph, the tensor and what it points to.
    """
    sizes: dict[str, int] = {}
    for tensor in model.external:
        entries = _entries(model, tensor)
        location = entries["location"]
        if location not in sizes:
            sizes[location] = _size_of(model, tensor, directory, location)
        offset = _number(model, tensor, entries.get("offset", "0"))
        length = _number(model, tensor, entries.get("length", "0"))
        if offset + length > sizes[location]:
            _refuse(model, tensor, f"bytes within the {sizes[location]} of {location!r}", f"{offset} + {length}")


def _entries(model: OnnxFile, tensor: ExternalTensor) -> dict[str, str]:
    entries = dict(tensor.entries)
    if len(entries) != len(tensor.entries) or not set(entries) <= set(_KNOWN):
        keys = ", ".join(ascii(key[:20]) for key, _ in tensor.entries)
        _refuse(model, tensor, "location, offset, length and checksum, each at most once", keys)
    if "location" not in entries:
        _refuse(model, tensor, "a location", "none")
    return entries


def _size_of(model: OnnxFile, tensor: ExternalTensor, directory: Path, location: str) -> int:
    if not is_portable_handle(location):
        _refuse(model, tensor, "a plain name inside the package folder", ascii(location[:80]))
    path = directory
    status = None
    for part in location.split("/"):
        path /= part
        try:
            status = os.lstat(path)
        except OSError as exc:
            _refuse(model, tensor, f"the file {location!r}", exc.strerror or type(exc).__name__)
        if stat.S_ISLNK(status.st_mode):
            _refuse(model, tensor, "regular files", f"{location!r} is a link")
    if status is None or not stat.S_ISREG(status.st_mode):
        _refuse(model, tensor, "regular files", f"{location!r} is none")
    if status.st_nlink != 1:
        _refuse(model, tensor, "a file with one name", f"{location!r} has {status.st_nlink} (hard links)")
    return status.st_size


def _number(model: OnnxFile, tensor: ExternalTensor, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        _refuse(model, tensor, "whole numbers for offset and length", ascii(text[:40]))
    return int(text)


def _refuse(model: OnnxFile, tensor: ExternalTensor, needs: str, found: str) -> NoReturn:
    raise CorruptedModelPackageError(
        f"{model.name}: tensor {tensor.name[:80]!a} at byte {tensor.position} has its values in a file that is "
        "not opened.",
        needs=needs,
        found=found,
    )
