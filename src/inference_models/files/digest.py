"""Hashes of byte streams and of files."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inference_models.files.regular import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.entities import FileDownloadSpecs

CHUNK = 1 << 20


@dataclass
class RunningDigest:
    """Size and hashes of everything that went through `update`."""

    size: int = 0
    _sha256: hashlib._Hash = field(default_factory=hashlib.sha256)
    _md5: hashlib._Hash = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    with_md5: bool = False
    """MD5 costs twice as much again as SHA-256, so it is only computed where a provider announces it."""

    def update(self, chunk: bytes | memoryview) -> None:
        """Take `chunk` in."""
        self.size += len(chunk)
        self._sha256.update(chunk)
        if self.with_md5:
            self._md5.update(chunk)

    @property
    def sha256(self) -> str:
        """64 lower-case hexadecimal digits."""
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str | None:
        """32 lower-case hexadecimal digits; None unless `with_md5` is set."""
        return self._md5.hexdigest() if self.with_md5 else None

    def mismatch(self, announced: FileDownloadSpecs) -> tuple[str, str] | None:
        """What was announced and what arrived, in words; None when they agree."""
        if announced.size is not None and announced.size != self.size:
            return f"{announced.size} bytes", f"{self.size} bytes"
        if announced.sha256_hash is not None and announced.sha256_hash.lower() != self.sha256:
            return f"sha256 {announced.sha256_hash.lower()}", f"sha256 {self.sha256}"
        if announced.md5_hash is not None and self.md5 is not None and announced.md5_hash.lower() != self.md5:
            return f"md5 {announced.md5_hash.lower()}", f"md5 {self.md5}"
        return None


def file_digest(path: Path, *, with_md5: bool = False, follow: bool = False) -> RunningDigest:
    """Size and hashes of a regular file's content.

    Args:
        path: The file.
        with_md5: Compute the MD5 too.
        follow: Whether it may be a link to one.

    Raises:
        OSError: the file cannot be read, or is something else.
    """
    digest = RunningDigest(with_md5=with_md5)
    buffer = memoryview(bytearray(CHUNK))
    with os.fdopen(open_regular(path, follow=follow, quietly=True), "rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
    return digest


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, 64 lower-case hexadecimal digits; a link is followed.

    Raises:
        OSError: the file cannot be read, or is no regular file.
    """
    return file_digest(path, follow=True).sha256


def text_sha256(text: str) -> str:
    """SHA-256 of `text` in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()
