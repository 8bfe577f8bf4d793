from __future__ import annotations

import hashlib
import logging
import os
import shutil
import stat
import time
from pathlib import Path

import pytest

from cache.slow_writer import CONTENT, specs
from inference_models.cache.manifest import Damage, Manifest, read_manifest
from inference_models.cache.store import PackageKey, PackageStore
from inference_models.entities import FileDownloadSpecs, InlineFileSpecs
from inference_models.errors import (
    CorruptedModelPackageError,
    EnvironmentConfigurationError,
    FileHashSumMissmatch,
    InvalidParameterError,
    ModelRetrievalError,
)
from inference_models.files.names import MANIFEST_NAME

SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILES = specs(SHA256)
KEY = PackageKey("test", "m", "p1")
FILE_NAMES = ["weights.onnx", "sub/more.bin", "class_names.txt"]


class Source:
    """Counts how often it is read."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content = content
        self.reads = 0

    def __call__(self, file):
        self.reads += 1
        yield self.content


def no_source(file):
    pytest.fail(f"{file.file_handle} was fetched though the package is stored")


@pytest.fixture
def store(tmp_path):
    return PackageStore(tmp_path / "root")


def assert_complete(folder):
    assert (folder / "weights.onnx").read_bytes() == CONTENT
    assert (folder / "sub/more.bin").read_bytes() == CONTENT
    assert (folder / "class_names.txt").read_text() == "a\n"


def leftovers(store):
    temporary = store.root / "tmp"
    return list(temporary.iterdir()) if temporary.is_dir() else []


def test_a_package_is_fetched_once_and_found_from_then_on(store):
    assert store.open(KEY) is None
    source = Source()
    folder = store.ensure(KEY, FILES, source)
    assert_complete(folder)
    assert source.reads == 1  # the two files have the same content
    assert store.ensure(KEY, FILES, no_source) == folder == store.open(KEY)
    assert leftovers(store) == []


@pytest.mark.parametrize("mask", [0o002, 0o077])
def test_the_umask_says_who_may_use_the_cache(store, mask):
    before = os.umask(mask)
    try:
        store.ensure(KEY, FILES, Source())
    finally:
        os.umask(before)
    for path in (store.root, *store.root.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~mask


def damage(path: Path, how: str, outside: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    if how == "one bit":
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    elif how == "empty":
        path.touch()
    elif how == "truncated":
        path.write_bytes(data[:-1])
    elif how == "folder":
        path.mkdir()
    elif how == "link":
        outside.write_bytes(data)
        path.symlink_to(outside)
    elif how == "pipe":
        os.mkfifo(path)


@pytest.mark.parametrize("name", [*FILE_NAMES, MANIFEST_NAME])
@pytest.mark.parametrize("how", ["one bit", "empty", "truncated", "missing", "folder", "link", "pipe"])
def test_any_damage_is_found_put_aside_and_repaired(store, tmp_path, caplog, name, how):
    folder = store.ensure(KEY, FILES, Source())
    damage(folder / name, how, tmp_path / "outside")
    if name == MANIFEST_NAME and how == "truncated":
        (folder / name).write_text("{")  # a manifest without its last line feed says the same
    assert store.open(KEY) is None
    with caplog.at_level(logging.WARNING, logger="inference-models"):
        assert_complete(store.ensure(KEY, FILES, Source()))
    if how == "missing":
        assert ("is missing; fetched again" in caplog.text) == (name != MANIFEST_NAME)
    else:
        assert "moved to quarantine and fetched again" in caplog.text
        assert len(list((store.root / "quarantine").iterdir())) == 1


def test_the_warning_names_the_file_and_the_damage(store, caplog):
    folder = store.ensure(KEY, FILES, Source())
    (folder / "weights.onnx").write_bytes(b"123")
    with caplog.at_level(logging.WARNING, logger="inference-models"):
        store.ensure(KEY, FILES, Source())
    assert caplog.messages == [
        f"{folder}: weights.onnx has 3 bytes instead of {len(CONTENT)}; moved to quarantine and fetched again."
    ]


class Down:
    def read(self, file):
        raise ModelRetrievalError("the server does not answer.")


@pytest.mark.parametrize("level", [0, 1, 2], ids=["a package", "a model", "all packages"])
def test_a_link_below_the_cache_folder_is_put_aside_and_what_it_points_to_stays(store, tmp_path, caplog, level):
    folder = store.ensure(KEY, FILES, Source())
    place = [folder, *folder.parents][level]
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    before = sorted(path.name for path in (tmp_path / "elsewhere").rglob("*"))
    with caplog.at_level(logging.WARNING, logger="inference-models"):
        assert store.ensure(KEY, FILES, Source()) == folder
    told = (
        f"{place} is a link to {tmp_path / 'elsewhere'}, and links below the cache folder are not followed; moved to "
        "quarantine, and what belongs there is fetched again. To keep models on another disk, set INFERENCE_HOME to a "
        "folder there, or make the cache folder itself a link."
    )
    assert caplog.messages == [told]
    assert not any(path.is_symlink() for path in (folder, *folder.parents[:2]))
    assert (folder / "weights.onnx").read_bytes() == CONTENT
    (link,) = (store.root / "quarantine").iterdir()
    assert link.readlink() == tmp_path / "elsewhere"
    assert sorted(path.name for path in (tmp_path / "elsewhere").rglob("*")) == before


def test_a_file_in_the_place_of_a_folder_is_put_aside(store, caplog):
    folder = store.folder_of(KEY)
    folder.parent.mkdir(parents=True)
    folder.write_text("notes")
    with caplog.at_level(logging.WARNING, logger="inference-models"):
        store.ensure(KEY, FILES, Source())
    assert caplog.messages == [
        f"{folder} is not a folder; moved to quarantine, and what belongs there is fetched again."
    ]


def test_a_link_that_cannot_be_replaced_is_an_error_that_says_so(store, tmp_path):
    folder = store.ensure(KEY, FILES, Source())
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptedModelPackageError) as caught:
        store.ensure(KEY, FILES, Down())
    assert str(caught.value) == (
        f"the folder of the stored {KEY.model_id!r} cannot be used: lies behind a link, or is not a folder.\n"
        "needs its source, to fetch it again; found: the server does not answer.\n"
        "run again when the source can be reached"
    )


def test_the_manifest_of_another_package_is_not_believed(store):
    folder = store.ensure(KEY, FILES, Source())
    other = PackageKey("test", "other", "p1")
    store.folder_of(other).parent.mkdir()
    shutil.copytree(folder, store.folder_of(other))
    assert store.open(other) is None


def test_a_new_version_replaces_the_old_one(store):
    store.ensure(KEY, FILES, Source())
    content = CONTENT[::-1]
    newer = specs(hashlib.sha256(content).hexdigest())
    assert store.open(KEY, newer) is None
    folder = store.ensure(KEY, newer, Source(content))
    assert (folder / "weights.onnx").read_bytes() == content


@pytest.mark.parametrize(
    ("content", "needs", "found"),
    [
        (CONTENT[:-1], f"{len(CONTENT)} bytes", f"{len(CONTENT) - 1} bytes"),
        (CONTENT * 3, f"{len(CONTENT)} bytes", f"more than {len(CONTENT)} bytes"),
        (CONTENT[::-1], f"sha256 {SHA256}", f"sha256 {hashlib.sha256(CONTENT[::-1]).hexdigest()}"),
    ],
)
def test_bytes_that_were_not_announced_leave_nothing_behind(store, content, needs, found):
    with pytest.raises(FileHashSumMissmatch) as caught:
        store.ensure(KEY, FILES, Source(content))
    assert str(caught.value) == (
        "weights.onnx is not the file that was announced; it was thrown away.\n"
        f"needs {needs}; found: {found}\n"
        "run again; if it happens again, the source is damaged or not to be trusted"
    )
    assert store.open(KEY) is None
    assert leftovers(store) == []
    assert_complete(store.ensure(KEY, FILES, Source()))


def test_md5_is_checked_where_it_is_all_there_is(store):
    right = FileDownloadSpecs("x", "w.bin", md5_hash=hashlib.md5(CONTENT).hexdigest())
    assert (store.ensure(KEY, [right], Source()) / "w.bin").read_bytes() == CONTENT
    wrong = FileDownloadSpecs("x", "w.bin", md5_hash="0" * 32)
    with pytest.raises(FileHashSumMissmatch, match="needs md5 0000"):
        store.ensure(PackageKey("test", "m", "p2"), [wrong], Source())


def test_a_file_nobody_can_verify_is_not_fetched(store):
    with pytest.raises(ModelRetrievalError) as caught:
        store.ensure(KEY, [FileDownloadSpecs("x", "w.bin")], no_source)
    assert str(caught.value) == (
        "w.bin cannot be verified.\n"
        "needs a sha256 (64 hexadecimal digits) or md5 (32) announced by the provider; found: neither"
    )
    assert not store.root.exists()


def test_unsafe_names_are_refused_before_the_disk_is_touched(store):
    with pytest.raises(CorruptedModelPackageError):
        store.ensure(KEY, [InlineFileSpecs("../evil.txt", "x")], no_source)
    with pytest.raises(CorruptedModelPackageError):
        PackageKey("test", "m", "../p")
    with pytest.raises(InvalidParameterError):
        PackageKey("test", "a\0b", "p")
    assert not store.root.exists()


@pytest.mark.parametrize("digest", ["../../../../etc/passwd", "0" * 63, "g" * 64, ""])
def test_a_hash_that_is_none_is_refused_before_it_becomes_a_file_name(store, digest):
    with pytest.raises(ModelRetrievalError) as caught:
        store.ensure(KEY, [FileDownloadSpecs("x", "w.bin", sha256_hash=digest)], no_source)
    assert str(caught.value) == (
        "w.bin cannot be verified.\n"
        f"needs a sha256 (64 hexadecimal digits) or md5 (32) announced by the provider; found: {digest!a}"
    )
    assert not store.root.exists()


def test_damage_that_cannot_be_repaired_names_the_file_and_the_cause(store):
    folder = store.ensure(KEY, FILES, Source())
    (folder / "weights.onnx").write_bytes(b"123")
    (folder / "sub/more.bin").unlink()

    def offline(file):
        raise ModelRetrievalError("the source cannot be reached.", needs="a network", found="none")
        yield

    with pytest.raises(CorruptedModelPackageError) as caught:
        store.ensure(KEY, FILES, offline)
    assert str(caught.value) == (
        "sub/more.bin of the stored 'm' cannot be used: No such file or directory.\n"
        "needs its source, to fetch it again; found: the source cannot be reached. (none)\n"
        "run again when the source can be reached"
    )


def test_damage_in_a_cache_that_cannot_be_written_names_the_file(store, monkeypatch):
    folder = store.ensure(KEY, FILES, Source())
    (folder / "weights.onnx").write_bytes(b"123")

    def refused(self, target):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(CorruptedModelPackageError) as caught:
        store.ensure(KEY, FILES, Source())
    assert str(caught.value) == (
        f"weights.onnx of the stored 'm' cannot be used: has 3 bytes instead of {len(CONTENT)}.\n"
        "needs a cache folder this process may write to, to fetch it again; found: Read-only file system\n"
        "make the cache folder writable, or set INFERENCE_HOME to another folder"
    )


def test_another_package_with_the_same_content_is_copied_and_not_fetched(store):
    store.ensure(KEY, FILES, Source())
    folder = store.ensure(PackageKey("other", "n", "p9"), FILES, no_source)
    assert_complete(folder)
    assert (folder / "weights.onnx").stat().st_nlink == 1


def test_a_damaged_file_is_repaired_from_another_package_without_its_source(store):
    store.ensure(KEY, FILES, Source())
    folder = store.ensure(PackageKey("other", "n", "p9"), FILES, no_source)
    (folder / "weights.onnx").write_bytes(b"")
    assert_complete(store.ensure(PackageKey("other", "n", "p9"), FILES, no_source))


def test_what_another_package_says_it_has_is_never_believed(store):
    folder = store.ensure(KEY, FILES, Source())
    (folder / "weights.onnx").write_bytes(CONTENT[::-1])
    (folder / "sub/more.bin").write_bytes(CONTENT[::-1])
    source = Source()
    assert_complete(store.ensure(PackageKey("other", "n", "p9"), FILES, source))
    assert source.reads == 1


def test_only_the_damaged_file_is_fetched_again(store):
    contents = {"a.bin": b"a" * 1000, "b.bin": b"b" * 1000}
    files = [
        FileDownloadSpecs("x", name, sha256_hash=hashlib.sha256(data).hexdigest()) for name, data in contents.items()
    ]
    asked = []

    def read(file):
        asked.append(file.file_handle)
        yield contents[file.file_handle]

    folder = store.ensure(KEY, files, read)
    (folder / "b.bin").write_bytes(b"b" * 999 + b"c")
    store.ensure(KEY, files, read)
    assert asked == ["a.bin", "b.bin", "b.bin"]


def test_a_file_that_the_manifest_does_not_list_is_no_part_of_the_package(store):
    folder = store.ensure(KEY, FILES, Source())
    (folder / "inference_config.json").write_text("{}")
    assert store.open(KEY) is None
    assert store.ensure(KEY, FILES, no_source) == folder
    assert not (folder / "inference_config.json").exists()


def test_damage_to_a_hash_in_the_manifest_is_not_taken_for_damage_to_the_file(store):
    folder = store.ensure(KEY, FILES, Source())
    text = (folder / MANIFEST_NAME).read_text()
    (folder / MANIFEST_NAME).write_text(text.replace(SHA256, SHA256[:-1] + ("0" if SHA256[-1] != "0" else "1")))
    assert read_manifest(folder) == Damage(MANIFEST_NAME, "its checksum does not match")
    assert store.ensure(KEY, FILES, no_source) == folder
    assert isinstance(read_manifest(folder), Manifest)


def test_a_package_that_cannot_fit_is_refused_before_it_is_fetched(store):
    huge = FileDownloadSpecs("x", "w.bin", sha256_hash=SHA256, size=1 << 60)
    with pytest.raises(EnvironmentConfigurationError) as caught:
        store.ensure(KEY, [huge], no_source)
    free = shutil.disk_usage(store.root).free
    first, second, third = str(caught.value).split("\n")
    assert first == f"the package does not fit into the cache folder '{store.root}'."
    assert second.startswith("needs 1152921504606846976 bytes; found: ")
    assert abs(int(second.split("found: ")[1].split()[0]) - free) < 1 << 32
    assert third == "set INFERENCE_HOME to a folder with room that you may write to"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which always answers 'disk full'")
def test_a_disk_that_fills_up_is_named(store, monkeypatch):
    def full(descriptor, data, start):
        with Path("/dev/full").open("wb", buffering=0) as stream:
            stream.write(b"x")

    monkeypatch.setattr("inference_models.cache.partial._write_at", full)
    with pytest.raises(EnvironmentConfigurationError) as caught:
        store.ensure(KEY, FILES, Source())
    assert str(caught.value).startswith(
        f"the package cannot be stored in the cache folder '{store.root}'.\nneeds {2 * len(CONTENT)} bytes; found: "
    )
    assert leftovers(store) == []


def test_a_folder_that_must_not_be_written_is_named(tmp_path):
    root = tmp_path / "file" / "root"
    root.parent.touch()
    with pytest.raises(EnvironmentConfigurationError) as caught:
        PackageStore(root).ensure(KEY, FILES, Source())
    assert str(caught.value) == (
        f"the package cannot be stored in the cache folder '{root}'.\n"
        "needs a folder this process may write to; found: File exists\n"
        "set INFERENCE_HOME to a folder with room that you may write to"
    )


def test_a_hit_writes_nothing(store):
    folder = store.ensure(KEY, FILES, Source())
    shutil.rmtree(store.root / "tmp")
    before = {path: path.lstat().st_mtime_ns for path in store.root.rglob("*")}
    store.root.chmod(0o555)
    folder.chmod(0o555)
    try:
        assert store.ensure(KEY, FILES, no_source) == folder
    finally:
        store.root.chmod(0o700)
        folder.chmod(0o700)
    assert {path: path.lstat().st_mtime_ns for path in store.root.rglob("*")} == before


def test_a_package_that_another_process_repaired_meanwhile_is_not_put_aside(store):
    folder = store.ensure(KEY, FILES, Source())
    (folder / "weights.onnx").write_bytes(b"")
    other = PackageStore(store.root)
    weights = folder / "weights.onnx"
    seen = (weights.lstat().st_dev, weights.lstat().st_ino)
    other.ensure(KEY, FILES, Source())
    store._quarantine(weights, seen)
    assert_complete(folder)
    assert store.open(KEY) == folder


def test_what_a_running_process_writes_is_not_swept_and_old_foreign_folders_are(store):
    from inference_models.cache.workspace import ABANDONED_AFTER_S, private_folder

    temporary = store.root / "tmp"
    with private_folder(temporary) as mine:
        young, old = temporary / "0000-1-young", temporary / "0000-1-old"
        young.mkdir()
        old.mkdir()
        past = time.time() - ABANDONED_AFTER_S - 60
        os.utime(old, (past, past))
        store.ensure(KEY, FILES, Source())
        assert mine.is_dir()
        assert young.is_dir()
        assert not old.exists()
