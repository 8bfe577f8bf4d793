"""Structures that several threads are the first to need."""

import ast
import subprocess
import sys
from pathlib import Path

import inference_models

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


def test_every_structure_that_is_read_is_prepared():
    sources = sorted(Path(inference_models.__file__).parent.rglob("*.py"))
    calls = [
        (path.name, call)
        for path in sources
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in {"msgspec.convert", "msgspec.json.decode"}
    ]
    kinds = {(name, ast.unparse(kind)) for name, call in calls for kind in kinds_of(call)}
    assert kinds, "msgspec is called in another way: this test looks for nothing"
    assert {(name, kind) for name, kind in kinds if not kind.startswith("prepared(")} == set()


def kinds_of(call):
    """What a value becomes: the second argument of `convert`, or `type`."""
    return [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "type")]
