"""Hashes of bytes on their way, and of files at rest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
    """MD5 costs as much again as SHA-256, so it is only computed where a provider announces nothing better."""

    def update(self, chunk: bytes) -> None:
        """Take `chunk` in."""
        self.size += len(chunk)
        self._sha256.update(chunk)
        if self.with_md5:
            self._md5.update(chunk)

    @property
    def sha256(self) -> str:
        """64 lower-case hexadecimal digits."""
        return self._sha256.hexdigest()

    def mismatch(self, announced: FileDownloadSpecs) -> tuple[str, str] | None:
        """What was announced and what arrived, in words; None when they agree."""
        if announced.size is not None and announced.size != self.size:
            return f"{announced.size} bytes", f"{self.size} bytes"
        if announced.sha256_hash is not None and announced.sha256_hash.lower() != self.sha256:
            return f"sha256 {announced.sha256_hash.lower()}", f"sha256 {self.sha256}"
        if self.with_md5 and announced.md5_hash is not None and announced.md5_hash.lower() != self._md5.hexdigest():
            return f"md5 {announced.md5_hash.lower()}", f"md5 {self._md5.hexdigest()}"
        return None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, 64 lower-case hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def text_sha256(text: str) -> str:
    """SHA-256 of `text` in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()
