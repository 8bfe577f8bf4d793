"""What need not be fetched is found by names and sizes, without opening a file of a package or writing one."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from inference_models.cache.store import PackageKey, PackageStore
from inference_models.entities import FileDownloadSpecs, InlineFileSpecs

KEY = PackageKey("host", "team/cats/1", "p1")
CONTENTS = {"weights.onnx": b"w" * 1000, "names.txt": b"cat\n"}


def announced(handle: str, **changes: object) -> FileDownloadSpecs:
    data = CONTENTS[handle]
    digests = {"sha256_hash": hashlib.sha256(data).hexdigest(), "md5_hash": hashlib.md5(data).hexdigest()}
    return replace(FileDownloadSpecs(f"https://x/{handle}", handle, size=len(data), **digests), **changes)


FILES = [announced("weights.onnx"), announced("names.txt")]


@pytest.fixture
def store(tmp_path: Path) -> PackageStore:
    made = PackageStore(tmp_path / "cache")
    made.ensure(KEY, FILES, lambda file: iter([CONTENTS[file.file_handle]]), progress=lambda _: None)
    return made


def test_an_empty_cache_holds_nothing_and_stays_empty(tmp_path: Path) -> None:
    assert PackageStore(tmp_path / "cache").cached_handles(KEY, FILES) == frozenset()
    assert list(tmp_path.iterdir()) == []


def test_a_stored_package_is_held(store: PackageStore) -> None:
    assert store.cached_handles(KEY, FILES) == {"weights.onnx", "names.txt"}


def test_texts_of_the_description_are_nothing_to_fetch_and_not_counted(store: PackageStore) -> None:
    assert store.cached_handles(KEY, [InlineFileSpecs("model_config.json", "{}")]) == frozenset()


def test_looking_writes_nothing_and_opens_no_file_of_a_package(
    store: PackageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {path for path in store.root.rglob("*") if path.is_file()}
    before = {path: path.stat().st_mtime_ns for path in paths}
    opened = []
    real = os.open

    def spied(path: Path, *arguments: object, **options: object) -> object:
        opened.append(Path(path).name)
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", spied)
    store.cached_handles(KEY, FILES)
    assert opened == [".manifest.json"]
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()} == before


def test_another_version_of_a_file_is_to_be_fetched(store: PackageStore) -> None:
    newer = announced("weights.onnx", sha256_hash="0" * 64, md5_hash=None)
    assert store.cached_handles(KEY, [newer, FILES[1]]) == {"names.txt"}


def test_a_file_that_was_cut_is_to_be_fetched(store: PackageStore) -> None:
    (store.folder_of(KEY) / "weights.onnx").write_bytes(b"w")
    assert store.cached_handles(KEY, FILES) == {"names.txt"}


def test_a_link_in_the_place_of_a_file_is_no_file(store: PackageStore, tmp_path: Path) -> None:
    path = store.folder_of(KEY) / "weights.onnx"
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    assert store.cached_handles(KEY, FILES) == {"names.txt"}


def test_the_same_content_in_another_package_need_not_be_fetched_again(store: PackageStore) -> None:
    other = PackageKey("host", "team/dogs/1", "p1")
    assert store.cached_handles(other, [announced("weights.onnx", file_handle="model.onnx")]) == {"model.onnx"}
    assert store.cached_handles(other, [announced("weights.onnx", size=7)]) == frozenset()


def test_a_name_that_leads_out_of_the_folder_is_never_looked_for(store: PackageStore) -> None:
    evil = announced("weights.onnx", file_handle="../../../etc/passwd", sha256_hash="1" * 64, md5_hash=None)
    assert store.cached_handles(KEY, [evil]) == frozenset()
