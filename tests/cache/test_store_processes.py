from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cache.test_store import FILES, KEY, SHA256, Source, assert_complete, leftovers, no_source
from inference_models.cache.store import PackageStore

WRITER = Path(__file__).with_name("slow_writer.py")


@pytest.fixture
def store(tmp_path):
    return PackageStore(tmp_path / "root")


POINTS = [
    "first bytes",
    "last byte",
    "before fsync",
    "after fsync",
    "before manifest_text",
    "before _withdraw_other_version",
    "after _move_in",
    "before _commit",
    "before _stamp",
    "after _commit",
    "after make_folder",
]
COMMITTED = {"before _stamp", "after _commit"}


def run_writer(root: Path, point: str = "never") -> subprocess.Popen[str]:
    source = Path(__file__).parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    command = [sys.executable, str(WRITER), str(root), SHA256, point]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_killed_at_any_point_nothing_or_everything_is_there(store):
    roots = {point: store.root.parent / point.replace(" ", "-") for point in POINTS}
    for point, root in roots.items():
        writer = run_writer(root, point)
        writer.communicate(timeout=60)
        assert writer.returncode == -9, point
        after = PackageStore(root)
        found = after.open(KEY)
        assert (found is not None) == (point in COMMITTED)
        assert_complete(after.ensure(KEY, FILES, no_source if found else Source()))
        assert leftovers(after) == [] or found, point


def test_processes_that_race_all_get_the_one_complete_package(store):
    writers = [run_writer(store.root) for _ in range(4)]
    folders = {writer.communicate(timeout=60)[0].strip() for writer in writers}
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    assert folders == {str(store.folder_of(KEY))}
    assert_complete(store.ensure(KEY, FILES, no_source))
    assert leftovers(store) == []
