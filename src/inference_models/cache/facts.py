"""Remembered facts: one small JSON file per question, with its own checksum, replaced in one step.

A file that is damaged, foreign, of another format, or no regular file counts as absent, which the log says.
"""

from __future__ import annotations

import json
import logging
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from inference_models.files.durable import make_folder, put_aside_folder, write_atomic
from inference_models.files.prepared import prepared
from inference_models.files.regular import read_json_object

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger("inference-models")
CHECKSUM = "checksum"
"""SHA-256 of the rest of the object as JSON with sorted keys."""
Record = TypeVar("Record", bound=msgspec.Struct)


class Facts(Generic[Record]):
    """The facts of one kind below one folder.

    Args:
        folder: Where the files are; it is made when the first is written.
        record: What a file holds.
        called: What one is called on the log, and what it means that one is not believed: "x ignored: %s".
    """

    def __init__(self, folder: Path, record: type[Record], called: str) -> None:
        self.folder = folder
        self._record = record
        self._called = called

    def path_of(self, name: str) -> Path:
        """The file of a question; `name` may lead into folders."""
        return self.folder / f"{name}.json"

    def read(self, name: str) -> Record | None:
        """The remembered values; None when the file is absent, damaged or of another format."""
        path = self.path_of(name)
        try:
            return msgspec.convert(checked_content(path), prepared(self._record))
        except FileNotFoundError:
            return None
        except msgspec.ValidationError:
            reason = "it is not of this format"
        except (OSError, ValueError) as exc:
            reason = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
        _log.warning(f"%s: {self._called}", path, reason)
        return None

    def write(self, name: str, record: Record) -> Path:
        """Write the values to their file; returns its path.

        Raises:
            OSError: the folder is full or cannot be written to.
        """
        path = self.path_of(name)
        make_folder(path.parent)
        put_aside_folder(path)
        write_atomic(path, json.dumps(as_checked(record), indent=1).encode() + b"\n")
        return path

    def remove(self, name: str) -> bool:
        """Remove one file; returns whether it is gone."""
        path = self.path_of(name)
        try:
            put_aside_folder(path)
            path.unlink(missing_ok=True)
        except OSError as exc:
            _log.info("%s stays: %s", path, exc)
            return False
        return True

    def clear(self) -> int:
        """Remove all files of this folder; returns how many there were."""
        return sum(self.remove(path.stem) for path in self.folder.glob("*.json"))


def as_checked(record: object) -> dict[str, Any]:
    """A record as plain values, with the checksum of the rest."""
    content = msgspec.to_builtins(record)
    return {**content, CHECKSUM: _checksum(content)}


def checked_content(path: Path) -> dict[str, Any]:
    """The content of a small regular file without its checksum.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged.
    """
    content = read_json_object(path)
    if content.pop(CHECKSUM, None) != _checksum(content):
        raise ValueError("its checksum does not match")
    return content


def _checksum(content: dict[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
