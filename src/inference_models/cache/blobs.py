"""Where the bytes of a hash lie: an index from content to the packages that hold it. A hint, never proof."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_models.files.durable import write_hint
from inference_models.files.names import is_portable_handle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from inference_models.entities import FileDownloadSpecs, FileFacts

MAX_PLACES = 16
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class BlobIndex:
    """`blobs/<algorithm>/<two digits>/<hash>`: each a small text file that names the files with this content."""

    root: Path

    def find(self, file: FileDownloadSpecs) -> Iterator[Path]:
        """Files that had this content when they were stored. Whoever takes one hashes it."""
        for algorithm, digest in (("sha256", file.sha256_hash), ("md5", file.md5_hash)):
            if digest is not None:
                yield from self._existing(self._path(algorithm, digest.lower()))
                return

    def record(self, file: FileFacts, place: Path) -> None:
        """Remember that `place` holds the content of `file`."""
        relative = place.relative_to(self.root).as_posix()
        for algorithm, digest in (("sha256", file.sha256), ("md5", file.md5)):
            if digest is not None:
                path = self._path(algorithm, digest)
                known = [other for other in _read(path) if other != relative and (self.root / other).is_file()]
                write_hint(path, json.dumps({"places": [relative, *known][:MAX_PLACES]}).encode())

    def prune(self) -> int:
        """Remove the entries of content that is gone; returns how many."""
        removed = 0
        for path in (self.root / "blobs").glob("*/*/*"):
            if not any(self._existing(path)):
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                    removed += 1
        return removed

    def _existing(self, path: Path) -> Iterator[Path]:
        return (self.root / place for place in _read(path) if (self.root / place).is_file())

    def _path(self, algorithm: str, digest: str) -> Path:
        return self.root / "blobs" / algorithm / digest[:2] / digest


def _read(path: Path) -> list[str]:
    try:
        with path.open("rb") as stream:
            places = json.loads(stream.read(_MAX_BYTES))["places"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []
    if not isinstance(places, list):
        return []
    # An entry is only data in a folder others may reach: it must not lead anywhere but into a package.
    return [place for place in places if isinstance(place, str) and _is_inside(place)]


def _is_inside(place: str) -> bool:
    first, _, rest = place.partition("/")
    slug, _, inside = rest.partition("/")
    package_id, _, handle = inside.partition("/")
    return first == "packages" and is_portable_handle(f"{slug}/{package_id}") and is_portable_handle(handle)
