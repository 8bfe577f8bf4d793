from __future__ import annotations

import shutil
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from inference_models.files.durable import make_folder, write_atomic, write_hint


def test_a_folder_that_exists_keeps_its_mode(tmp_path):
    (tmp_path / "a").mkdir(mode=0o755)
    make_folder(tmp_path / "a")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_what_is_no_folder_is_an_error(tmp_path, kind):
    path = tmp_path / "a"
    path.touch() if kind == "file" else path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        make_folder(path)


def test_folders_are_made_though_others_remove_them(tmp_path):
    stop = threading.Event()

    def remove():
        while not stop.is_set():
            shutil.rmtree(tmp_path / "a", ignore_errors=True)

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        for _ in range(300):
            make_folder(tmp_path / "a" / "b" / "c")
    finally:
        stop.set()
        thread.join()


def test_readers_see_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "f"
    write_atomic(path, b"a" * 100_000)
    seen = set()
    stop = threading.Event()

    def read():
        while not stop.is_set():
            with suppress(FileNotFoundError):
                seen.add(path.read_bytes())

    thread = threading.Thread(target=read)
    thread.start()
    for letter in (b"b", b"a") * 50:
        write_atomic(path, letter * 100_000, durable=False)
    stop.set()
    thread.join()
    assert seen <= {b"a" * 100_000, b"b" * 100_000}
    assert [found.name for found in tmp_path.iterdir()] == ["f"]


def test_a_write_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "f").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomic(tmp_path / "f", b"x")
    assert [found.name for found in tmp_path.iterdir()] == ["f"]


def test_a_hint_replaces_a_folder_and_never_fails(tmp_path):
    (tmp_path / "f" / "g").mkdir(parents=True)
    write_hint(tmp_path / "f", b"x")
    assert (tmp_path / "f").read_bytes() == b"x"
    write_hint(tmp_path / "f" / "below a file", b"x")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc is a file system of Linux that takes no folders")
def test_a_file_system_that_takes_no_folders_is_an_error_and_not_an_endless_wait() -> None:
    with pytest.raises(FileNotFoundError):
        make_folder(Path("/proc/nothing/below"))
