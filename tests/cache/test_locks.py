from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from inference_models.cache import locks
from inference_models.cache.locks import hold_locks, is_held

HOLDER = """
import sys, time
from pathlib import Path
from inference_models.cache import locks
locks.HEARTBEAT_S = float(sys.argv[2])
with locks.hold_locks([Path(sys.argv[1])], lambda path: None):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "locks" / "a.lock"


@pytest.fixture
def holder(lock):
    """Starts a process that holds the lock and shows its heartbeat that often."""
    started = []

    def start(heartbeat):
        source = str(Path(locks.__file__).parents[2])
        command = [sys.executable, "-c", HOLDER, str(lock), str(heartbeat)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": source})
        assert process.stdout.readline() == b"held\n"
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def nothing(path):
    pass


def test_a_lock_is_held_for_the_block(lock):
    with hold_locks([lock], nothing):
        assert is_held(lock)
    assert not is_held(lock)


def test_threads_exclude_each_other(lock):
    inside, most = [], []

    def work():
        with hold_locks([lock], nothing):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


def test_two_that_want_the_same_two_do_not_wait_for_each_other(tmp_path):
    first, second = tmp_path / "1.lock", tmp_path / "2.lock"
    done = []

    def work(paths):
        for _ in range(5):
            with hold_locks(paths, nothing):
                done.append(1)

    threads = [threading.Thread(target=work, args=(paths,)) for paths in ([first, second], [second, first])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(done) == 10


def test_the_lock_of_a_dead_process_is_free_at_once(lock, holder):
    process = holder(0.1)
    assert is_held(lock)
    process.kill()
    process.wait()
    with hold_locks([lock], lambda path: pytest.fail("waited for a dead process")):
        assert is_held(lock)


def test_who_waits_for_a_holder_that_shows_nothing_goes_on(lock, holder, monkeypatch):
    monkeypatch.setattr(locks, "PROGRESS_INTERVAL_S", 0.3)
    process = holder(1000)
    waits = []
    with hold_locks([lock], waits.append):
        assert process.poll() is None
    assert set(waits) == {lock}


def test_who_waits_for_a_holder_that_lives_keeps_waiting(lock, holder, monkeypatch):
    monkeypatch.setattr(locks, "PROGRESS_INTERVAL_S", 1.0)
    process, beats = holder(0.1), set()

    def waiting(path):
        beats.add(path.stat().st_mtime_ns)
        if len(beats) == 30:  # it has shown its heartbeat for longer than one that is silent is waited for
            process.kill()

    with hold_locks([lock], waiting):
        assert len(beats) >= 30


def test_an_exception_frees_the_lock(lock):
    with pytest.raises(KeyError), hold_locks([lock], nothing):
        raise KeyError
    assert not is_held(lock)


def test_a_folder_where_the_lock_should_be_is_no_obstacle(lock):
    lock.mkdir(parents=True)
    with hold_locks([lock], nothing):
        assert not lock.is_dir()
