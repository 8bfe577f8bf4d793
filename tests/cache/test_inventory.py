from __future__ import annotations

import os
import shutil

import pytest

from cache.slow_writer import CONTENT, specs
from cache.test_store import SHA256, Source, no_source
from inference_models.cache.locks import hold_locks
from inference_models.cache.partial import new_partial
from inference_models.cache.store import PackageKey, PackageStore
from inference_models.cache.workspace import own_name, private_folder
from inference_models.entities import InlineFileSpecs

FILES = specs(SHA256)
SIZE = 2 * len(CONTENT) + 2


def key(number):
    return PackageKey("test", f"m{number}", "p1")


@pytest.fixture
def store(tmp_path):
    store = PackageStore(tmp_path / "root")
    for number in range(3):
        store.ensure(key(number), FILES, Source())
        for path in store.folder_of(key(number)).rglob("*"):
            os.utime(path, (1_000_000 + number, 1_000_000 + number))
    return store


def test_an_empty_cache_has_nothing_and_is_not_created(tmp_path):
    store = PackageStore(tmp_path / "none")
    assert (store.packages(), store.verify(), store.find(key(0))) == ([], [], None)
    assert store.remove(key(0)) is False
    assert not (tmp_path / "none" / "packages").exists()


def test_packages_are_listed_with_size_and_last_use_newest_first(store):
    listed = store.packages()
    assert [package.key for package in listed] == [key(2), key(1), key(0)]
    assert {package.size for package in listed} == {SIZE}
    assert [package.last_used for package in listed] == [1_000_002, 1_000_001, 1_000_000]
    assert listed[0] == store.find(key(2))
    assert listed[0].folder == store.folder_of(key(2))


def test_hashing_is_not_a_use(store):
    before = [package.last_used for package in store.packages()]
    assert all(found.ok for found in store.verify(full=True))
    assert [package.last_used for package in store.packages()] == before


def test_verify_names_every_damage_and_changes_nothing(store):
    folder = store.folder_of(key(1))
    (folder / "weights.onnx").write_bytes(CONTENT[::-1])
    (folder / "class_names.txt").unlink()
    (folder / "planted.py").touch()
    before = sorted(store.root.rglob("*"))
    found = {item.key: item for item in store.verify(full=True)}
    assert [damage.handle for damage in found[key(1)].damage] == ["class_names.txt", "weights.onnx", "planted.py"]
    assert found[key(0)].ok
    assert found[key(2)].ok
    assert sorted(store.root.rglob("*")) == before
    assert [item.key for item in store.verify(key=key(1))] == [key(1)]


def test_a_removed_package_is_gone_with_all_its_hints(store):
    store.pin(key(0))
    assert store.remove(key(0)) is True
    assert store.remove(key(0)) is False
    assert store.find(key(0)) is None
    for kind in ("stamps", "pins"):
        assert not list((store.root / kind).glob(f"{store.folder_of(key(0)).parent.name}*"))


def test_what_is_open_survives_its_removal(store):
    with (store.folder_of(key(0)) / "weights.onnx").open("rb") as stream:
        store.remove(key(0))
        assert stream.read() == CONTENT


def test_a_package_can_be_kept_on_purpose(store):
    store.pin(key(0))
    assert store.find(key(0)).pinned
    assert store.gc(quota=0).packages == 2
    assert [package.key for package in store.packages()] == [key(0)]
    store.unpin(key(0))
    assert not store.find(key(0)).pinned


def test_room_is_made_by_the_least_recently_used(store):
    collected = store.gc(quota=2 * SIZE)
    assert (collected.packages, collected.freed) == (1, SIZE)
    assert [package.key for package in store.packages()] == [key(2), key(1)]


def test_a_clean_cache_has_nothing_to_collect(store):
    store.gc()
    before = sorted(store.root.rglob("*"))
    collected = store.gc()
    assert (collected.packages, collected.orphans, collected.partials, collected.quarantined, collected.freed) == (
        (0,) * 5
    )
    assert sorted(store.root.rglob("*")) == before


def test_everything_that_no_package_needs_is_collected(store):
    shutil.rmtree(store.folder_of(key(0)))
    half = store.folder_of(key(0))
    half.mkdir()
    (half / "weights.onnx").write_bytes(CONTENT)
    (store.folder_of(key(1)) / "planted.py").write_bytes(b"12345")
    quarantine = store.root / "quarantine"
    quarantine.mkdir()
    (quarantine / "bad").write_bytes(b"123")
    abandoned = new_partial(store.root / "partials" / SHA256 / own_name())
    abandoned.write(0, b"1234567")
    abandoned.release()
    collected = store.gc()
    assert (collected.orphans, collected.partials, collected.quarantined) == (2, 1, 1)
    assert collected.freed >= len(CONTENT) + 5 + 3 + 7
    assert not half.parent.exists()
    assert list((store.root / "partials").iterdir()) == []


def test_what_others_work_on_is_not_collected(store):
    half = store.folder_of(key(7))
    half.mkdir(parents=True)
    working = new_partial(store.root / "partials" / SHA256 / own_name())
    with private_folder(store.root / "tmp") as desk, hold_locks([store.root / "locks" / "x.lock"], lambda path: None):
        (desk / "package").write_text(half.relative_to(store.root).as_posix())
        store.gc()
        assert half.is_dir()
        assert working.data.is_file()
        assert (store.root / "locks" / "x.lock").is_file()
    working.discard()
    store.gc()
    assert not half.exists()
    assert not (store.root / "locks" / "x.lock").exists()


def test_a_package_of_texts_only_needs_no_source(store):
    files = [InlineFileSpecs("a.txt", "a"), InlineFileSpecs("sub/b.txt", "b")]
    folder = store.ensure(key(9), files, no_source)
    assert (folder / "sub/b.txt").read_text() == "b"
