"""Structures that several threads are the first to need."""

import subprocess
import sys

TWO_THREADS = """
import threading
from dataclasses import dataclass
import msgspec
from inference_models.files.prepared import prepared

inside, second_has_it = threading.Event(), threading.Event()

def paused():
    inside.set()
    second_has_it.wait(0.5)  # not for ever: the second has to wait for us
    return int

@dataclass
class Inner:
    size: "paused()"

@dataclass
class Outer:
    inner: Inner
    name: str

def read():
    return msgspec.convert({"inner": {"size": 1}, "name": "a"}, prepared(Outer))

def second():
    inside.wait()
    found.append(read())
    second_has_it.set()

found = []
other = threading.Thread(target=second)
other.start()
found.append(read())
other.join()
assert found == [Outer(Inner(1), "a")] * 2
"""


def test_two_threads_may_be_the_first():
    done = subprocess.run([sys.executable, "-c", TWO_THREADS], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
