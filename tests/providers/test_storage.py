from __future__ import annotations

import os
import sys

import pytest

from inference_models.errors import (
    ForbiddenModelAccessError,
    InvalidParameterError,
    MissingDependencyError,
    ModelNotFoundError,
    ModelRetrievalError,
    RetryError,
)
from inference_models.providers._storage import FileStorage, FsspecStorage

CONTENT = bytes(range(256))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a b.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def memory():
    fsspec = pytest.importorskip("fsspec")
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe("/drawer/a.bin", CONTENT)
    yield filesystem
    filesystem.rm("/drawer", recursive=True)


def refused(storage, url, kind):
    with pytest.raises(kind) as caught:
        storage.read(url, limit=1000)
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.mark.parametrize(
    ("start", "stop"), [(0, None), (0, 256), (7, 50), (255, None), (250, 9999), (256, None), (5, 5)]
)
def test_a_part_is_what_was_asked_for(file, memory, start, stop, monkeypatch):
    monkeypatch.setattr("inference_models.providers._storage.BLOCK", 100)
    monkeypatch.setattr("inference_models.providers._storage.CHUNK", 3)
    for storage, url in ((FileStorage(), file.as_uri()), (FsspecStorage(), "memory://drawer/a.bin")):
        stream = storage.open(url, start=start, stop=stop)
        assert b"".join(stream.chunks) == CONTENT[start:stop]
        assert (stream.start, stream.size, stream.ranges) == (start, 256, True)


def test_another_content_has_another_version(file, memory):
    for storage, url, write in (
        (FileStorage(), file.as_uri(), file.write_bytes),
        (FsspecStorage(), "memory://drawer/a.bin", lambda data: memory.pipe("/drawer/a.bin", data)),
    ):
        before = storage.open(url, start=0, stop=None).version
        assert before == storage.open(url, start=0, stop=None).version
        write(b"other")
        assert storage.open(url, start=0, stop=None).version != before


def test_more_than_was_expected_is_refused(file, memory):
    for storage, url in ((FileStorage(), file.as_uri()), (FsspecStorage(), "memory://drawer/a.bin")):
        assert storage.read(url, limit=256) == CONTENT
        with pytest.raises(ModelRetrievalError) as caught:
            storage.read(url, limit=255)
        assert str(caught.value) == f"{url} is too large.\nneeds at most 255 bytes; found: more"


def test_what_is_not_there_is_named(tmp_path, memory):
    missing = (tmp_path / "no").as_uri()
    assert refused(FileStorage(), missing, ModelNotFoundError) == f"there is no {missing}."
    assert refused(FsspecStorage(), "memory://drawer/no", ModelNotFoundError) == "there is no memory://drawer/no."


def test_folders_are_no_files(tmp_path, memory):
    assert refused(FileStorage(), tmp_path.as_uri(), ModelRetrievalError) == (
        f"{tmp_path.as_uri()} cannot be read.\nneeds a regular file; found: something else"
    )
    assert refused(FsspecStorage(), "memory://drawer", ModelRetrievalError) == (
        "memory://drawer cannot be read.\nneeds a file of known size; found: directory"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a system with named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "needs a regular file" in refused(FileStorage(), (tmp_path / "pipe").as_uri(), ModelRetrievalError)


def test_a_file_of_another_machine_is_refused():
    assert refused(FileStorage(), "file://elsewhere/models", InvalidParameterError) == (
        "file://elsewhere/models is on another machine.\nneeds file:///path; found: the host 'elsewhere'"
    )


def test_refused_permission_is_ours(file, monkeypatch):
    def denied(self, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.stat", denied)
    assert refused(FileStorage(), file.as_uri(), ForbiddenModelAccessError) == (
        f"{file.as_uri()} cannot be read.\nneeds the permission to read it; found: [Errno 13] Permission denied"
    )


def test_a_file_that_shrinks_while_it_is_read_is_noticed(memory, monkeypatch):
    monkeypatch.setattr("inference_models.providers._storage.BLOCK", 100)
    chunks = FsspecStorage().open("memory://drawer/a.bin", start=0, stop=None).chunks
    assert next(chunks) == CONTENT[:100]
    memory.pipe("/drawer/a.bin", CONTENT[:150])
    with pytest.raises(RetryError) as caught:
        next(chunks)
    assert str(caught.value) == "memory://drawer/a.bin ended early.\nneeds 100 bytes from 100; found: 50 bytes"


def test_a_store_without_its_library_names_the_extra(monkeypatch):
    registry = pytest.importorskip("fsspec.registry")
    for name in ("gs", "gcs"):  # another test may have loaded it
        monkeypatch.delitem(registry._registry, name, raising=False)
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    lines = refused(FsspecStorage(), "gs://shelf/team", MissingDependencyError).split("\n")
    assert lines[0] == "gs:// cannot be read."
    assert lines[1].startswith("needs the fsspec implementation of gs; found: ")
    assert lines[2] == "pip install gcsfs"


def test_without_fsspec_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    assert refused(FsspecStorage(), "az://shelf/team", MissingDependencyError) == (
        "az:// cannot be read.\nneeds fsspec; found: not installed\npip install adlfs"
    )


def test_a_scheme_nobody_reads_is_named_with_the_nearest():
    pytest.importorskip("fsspec")
    text = refused(FsspecStorage(), "memry://shelf", InvalidParameterError)
    assert text.startswith("nothing here reads memry://; nearest: 'memory'")


def test_a_scheme_that_needs_more_than_a_url_says_so():
    pytest.importorskip("fsspec")
    lines = refused(FsspecStorage(), "reference://shelf", InvalidParameterError).split("\n")
    assert lines[0] == "reference:// cannot be read by a URL alone."
    assert lines[1].startswith("needs a place that its URL describes; found: ")
