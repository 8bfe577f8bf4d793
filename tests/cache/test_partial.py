from __future__ import annotations

import os
import subprocess
import sys

import pytest

from inference_models.cache.partial import (
    PartialClosedError,
    Plan,
    continued_partial,
    free_partials,
    new_partial,
    stored_bytes,
)
from inference_models.cache.workspace import own_name


@pytest.fixture
def parent(tmp_path):
    return tmp_path / "partials" / "blob"


def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def with_parts(parent, name=None):
    partial = new_partial(parent / (name or own_name()))
    partial.set_plan(Plan('"1"', 100, (0, 50)))
    partial.write(0, b"a" * 50)
    partial.write(1, b"b" * 20)
    return partial


def test_after_the_end_nobody_writes(parent):
    partial = with_parts(parent)
    partial.close()
    partial.close()
    partial.sync()
    with pytest.raises(PartialClosedError):
        partial.write(1, b"c")
    with pytest.raises(PartialClosedError):
        partial.set_plan(Plan(None, 1))
    assert partial.data.stat().st_size == 70


def test_what_a_dead_process_left_is_continued_in_place(parent):
    name = own_name().split("-")
    folder = parent / f"{name[0]}-{dead_pid()}-{name[2]}"
    with_parts(parent, folder.name).close()
    inode = (folder / "data").stat().st_ino
    mine = continued_partial(parent / own_name())
    assert (mine.stored, mine.plan, mine.data.stat().st_ino) == (70, Plan('"1"', 100, (0, 50)), inode)
    assert not folder.exists()


def test_what_a_living_process_writes_to_is_copied(parent):
    living = with_parts(parent)
    mine = continued_partial(parent / own_name())
    living.write(1, b"later")
    assert mine.data.read_bytes() == b"a" * 50 + b"b" * 20
    assert living.stored == 75
    assert free_partials(parent) == []


def test_what_was_released_is_continued_by_the_next(parent):
    with_parts(parent).release()
    assert len(free_partials(parent)) == 1
    assert continued_partial(parent / own_name()).stored == 70
    assert free_partials(parent) == []


def test_of_several_the_one_that_got_furthest_is_continued(parent):
    with_parts(parent).release()
    best = with_parts(parent)
    best.write(1, b"b" * 30)
    best.release()
    assert stored_bytes(parent) == 100
    assert continued_partial(parent / own_name()).stored == 100


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("plan.json", b""),
        ("plan.json", b"{}"),
        ("plan.json", b"[" * 100_000),
        ("plan.json", b'{"version": null, "size": 100, "starts": [5, 0]}'),
        ("plan.json", b'{"version": null, "size": 10, "starts": [0]}'),
        ("done", b""),
        ("done", b"\xff" * 16),
        ("data", b""),
    ],
)
def test_a_download_that_contradicts_itself_is_not_continued(parent, file, content):
    partial = with_parts(parent)
    partial.release()
    (folder,) = free_partials(parent)
    (folder / file).write_bytes(content)
    assert continued_partial(parent / own_name()).stored == 0


def test_without_positioned_writes_the_result_is_the_same(parent, monkeypatch):
    monkeypatch.delattr(os, "pwrite")
    monkeypatch.delattr(os, "preadv")
    partial = with_parts(parent)
    buffer = memoryview(bytearray(70))
    assert partial.read(0, buffer) == 70
    assert bytes(buffer) == b"a" * 50 + b"b" * 20
