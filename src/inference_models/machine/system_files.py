"""Small system files: what cannot be read is empty, what is no version is None."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from pathlib import Path


def read_text(path: Path, *, limit: int = 1 << 16) -> str:
    """The first `limit` characters of a file; empty when it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(limit)
    except OSError:
        return ""


def public_version(text: str | None) -> Version | None:
    """The version in `text` without what stands behind `+`; None when there is none."""
    try:
        return None if text is None else Version(Version(text).public)
    except InvalidVersion:
        return None


def newest_suffix(folders: list[Path], library: str) -> Version | None:
    """The highest version that files `<library>.so.<version>` of these folders carry in their names."""
    found = [
        version
        for folder in folders
        for path in folder.glob(f"{library}.so.*.*")
        if (version := public_version(path.name.removeprefix(f"{library}.so."))) is not None
    ]
    return max(found, default=None)
