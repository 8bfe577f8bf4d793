from __future__ import annotations

import os

import pytest

from cache.slow_writer import CONTENT, specs
from cache.test_store import KEY, SHA256, Source
from inference_models.cache import manifest, stamps
from inference_models.cache.store import PackageStore

FILES = specs(SHA256)


@pytest.fixture
def hashed(monkeypatch):
    """Names of the files that were hashed."""
    names = []
    original = manifest.file_digest

    def counted(path, **options):
        names.append(path.name)
        return original(path, **options)

    monkeypatch.setattr(manifest, "file_digest", counted)
    return names


@pytest.fixture
def store(tmp_path):
    store = PackageStore(tmp_path / "root")
    store.ensure(KEY, FILES, Source())
    return store


def another_process(monkeypatch):
    monkeypatch.setattr(stamps, "_seen_here", {})


def test_a_hit_hashes_nothing(store, hashed, monkeypatch):
    another_process(monkeypatch)
    assert store.open(KEY) is not None
    assert hashed == []


def test_after_a_reboot_everything_is_hashed_once(store, hashed, monkeypatch):
    another_process(monkeypatch)
    monkeypatch.setattr(stamps, "boot_id", lambda: "the next boot")
    assert store.open(KEY) is not None
    assert sorted(hashed) == ["class_names.txt", "more.bin", "weights.onnx"]
    another_process(monkeypatch)
    assert store.open(KEY) is not None
    assert len(hashed) == 3


def test_where_the_cache_cannot_be_written_everything_is_hashed_once_per_process(store, hashed, monkeypatch):
    another_process(monkeypatch)
    monkeypatch.setattr(stamps, "boot_id", lambda: "the next boot")
    monkeypatch.setattr(stamps, "_writable", lambda folder: False)
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}
    for _ in range(3):
        assert store.open(KEY) is not None
    assert len(hashed) == 3
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*")} == before


def test_a_system_that_does_not_say_when_it_started_hashes_once_per_process(store, hashed, monkeypatch):
    monkeypatch.setattr(stamps, "boot_id", lambda: "")
    for _ in range(2):
        another_process(monkeypatch)
        assert store.open(KEY) is not None
    assert len(hashed) == 6


def test_content_that_changed_under_the_same_size_and_time_is_noticed(store, monkeypatch):
    path = store.folder_of(KEY) / "weights.onnx"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(bytes([CONTENT[0] ^ 1]) + CONTENT[1:])
    os.utime(path, ns=times)
    assert store.open(KEY) is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"boot": 1}', '{"boot": "BOOT", "files": {"a": [1]}}', "[" * 9999]
)
def test_damaged_stamps_cost_a_hash_and_nothing_else(store, hashed, monkeypatch, content):
    another_process(monkeypatch)
    (path,) = (store.root / "stamps").rglob("*.json")
    path.write_text(content.replace("BOOT", stamps.boot_id()))
    assert store.open(KEY) is not None
    assert len(hashed) == 3
