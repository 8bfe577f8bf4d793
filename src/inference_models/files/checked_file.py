"""Small files that carry their own checksum: replaced in one step, and never believed when they are damaged."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING

from inference_models.files.durable import make_private_folder, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 16 << 20


def write_checked_file(path: Path, body: bytes) -> None:
    """Put `body` at `path` in one step, after a line with its checksum; what is in the way is put aside.

    Raises:
        OSError: the folder cannot be written to, or is full.
    """
    make_private_folder(path.parent)
    put_aside_folder(path)
    write_atomic(path, sha256(body).hexdigest().encode() + b"\n" + body)


def read_checked_file(path: Path) -> bytes:
    """The body that was written to `path`.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is no regular file, or not what was written.
    """
    checksum, _, body = read_regular_file(path).partition(b"\n")
    if checksum != sha256(body).hexdigest().encode():
        raise ValueError("its checksum does not match")
    return body


def read_regular_file(path: Path) -> bytes:
    """The first `MAX_BYTES` of a file that is neither a link nor a folder nor a pipe.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is something else.
    """
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise ValueError("it is not a regular file")
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES)


def put_aside_folder(path: Path) -> None:
    """A folder in the place of a file cannot be replaced by one, so it is renamed."""
    if path.is_dir() and not path.is_symlink():
        path.rename(path.with_name(f"{path.name}.{os.urandom(8).hex()}.damaged"))
