"""Which files of a package need not be fetched. Looks at names and sizes only: whoever loads verifies the content."""

from __future__ import annotations

import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from inference_models.cache.blobs import BlobIndex
from inference_models.cache.manifest import Damage, Manifest, find_difference, read_manifest, regular_file
from inference_models.entities import FileDownloadSpecs
from inference_models.files.names import is_portable_handle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from inference_models.cache.package_key import PackageKey
    from inference_models.cache.store import PackageStore
    from inference_models.entities import ArtefactSpecs


def held_files(store: PackageStore, key: PackageKey, files: Sequence[ArtefactSpecs]) -> frozenset[str]:
    """Handles of the announced files whose content the cache seems to hold, in this package or in another.

    Nothing is written, and no file of a package is opened.
    """
    folder = store.folder_of(key)
    manifest = read_manifest(folder)
    index = BlobIndex(store.root)
    return frozenset(
        item.file_handle
        for item in files
        if isinstance(item, FileDownloadSpecs) and (_is_in_place(folder, manifest, item) or _is_elsewhere(index, item))
    )


def _is_in_place(folder: Path, manifest: Manifest | Damage, item: FileDownloadSpecs) -> bool:
    if isinstance(manifest, Damage) or not is_portable_handle(item.file_handle):
        return False
    listed = [file for file in manifest.files if file.handle == item.file_handle]
    if not listed or find_difference(manifest.model_copy(update={"files": listed}), [item]) is not None:
        return False
    status = regular_file(folder, item.file_handle)
    return not isinstance(status, Damage) and status.st_size == listed[0].size


def _is_elsewhere(index: BlobIndex, item: FileDownloadSpecs) -> bool:
    for place in index.find(item):
        with suppress(OSError):
            status = place.lstat()
            if stat.S_ISREG(status.st_mode) and item.size in {None, status.st_size}:
                return True
    return False
