from __future__ import annotations

import json

import pytest

from inference_models.cache.blobs import BlobIndex
from inference_models.entities import FileDownloadSpecs, FileFacts

SHA256, MD5 = "ab" * 32, "cd" * 16
BY_SHA256 = FileDownloadSpecs("x", "w.bin", sha256_hash=SHA256.upper())
BY_MD5 = FileDownloadSpecs("x", "w.bin", md5_hash=MD5)
FILE = FileFacts(handle="w.bin", size=1, sha256=SHA256, md5=MD5)


@pytest.fixture
def index(tmp_path):
    return BlobIndex(tmp_path)


def place(index, number):
    path = index.root / "packages" / f"m-{number}" / "p1" / "w.bin"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_the_newest_place_comes_first_and_those_that_are_gone_are_left_out(index):
    paths = [place(index, number) for number in range(3)]
    for path in paths:
        index.record(FILE, path)
    paths[1].unlink()
    assert list(index.find(BY_SHA256)) == [paths[2], paths[0]]


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "packages/../../secret",
        "/etc/passwd",
        "packages/m/p1/../../../secret",
        "packages/m",
        "blobs/x/y/z",
        7,
    ],
)
def test_an_entry_leads_nowhere_but_into_a_package(index, name):
    (index.root.parent / "secret").touch()
    (index.root / "packages" / "m" / "p1").mkdir(parents=True)
    path = index.root / "blobs" / "sha256" / SHA256[:2] / SHA256
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"places": [name]}))
    assert list(index.find(BY_SHA256)) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"places": 3}', '{"places": null}', "[" * 9999])
def test_a_damaged_entry_is_an_empty_one_and_is_replaced(index, text):
    path = index.root / "blobs" / "sha256" / SHA256[:2] / SHA256
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert list(index.find(BY_SHA256)) == []
    there = place(index, 0)
    index.record(FILE, there)
    assert list(index.find(BY_SHA256)) == [there]


def test_entries_of_content_that_is_gone_are_pruned(index):
    path = place(index, 0)
    index.record(FILE, path)
    assert index.prune() == 0
    path.unlink()
    assert index.prune() == 2
    assert list(index.find(BY_SHA256)) == []
