"""Whatever lies in the place of a file of the cache: a load neither hangs nor fails, and costs what a file may cost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cache.test_store import CONTENT, FILES, KEY, SHA256, Source, assert_complete
from inference_models.cache.partial import new_partial
from inference_models.cache.store import PackageStore
from inference_models.cache.workspace import own_name
from inference_models.files.regular import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(os.name == "nt", reason="makes pipes, sockets and links")


def a_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket has at most 108 characters
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def a_folder(path: Path) -> None:
    (path / "with" / "more").mkdir(parents=True)


def sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(1 << 33)


KINDS: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a socket": a_socket,
    "a folder": a_folder,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
    "8 GB": sparse,
    "levels": lambda path: path.write_bytes(b'{"files":' * 100_000),
    "bytes": lambda path: path.write_bytes(os.urandom(1000)),
    "another kind of JSON": lambda path: path.write_text(json.dumps({"boot": [], "files": 3, "starts": {}})),
}
PLACES = [
    "packages/*/p1/.manifest.json",
    "packages/*/p1/weights.onnx",
    "packages/*/p1/class_names.txt",
    "stamps/*/p1.json",
    f"locks/{SHA256}.lock",
    f"partials/{SHA256}/*/plan.json",
    f"partials/{SHA256}/*/done",
    f"partials/{SHA256}/*/data",
    "tmp/*/package",
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PackageStore]:
    signal.alarm(120)  # what hangs fails
    store = PackageStore(tmp_path)
    folder = store.ensure(KEY, FILES, Source())
    (folder / "sub/more.bin").unlink()  # so that something is fetched
    (folder / "weights.onnx").unlink()
    begun = new_partial(tmp_path / "partials" / SHA256 / own_name())
    begun.write(0, CONTENT[:100])
    begun.release()
    desk = tmp_path / "tmp" / own_name()
    desk.mkdir()
    (desk / "package").write_text("packages/x/y")
    (folder / "weights.onnx").write_bytes(CONTENT)
    yield store
    signal.alarm(0)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_load_passes_over_it_and_gc_removes_it(store: PackageStore, place: str, kind: str) -> None:
    path = next(store.root.glob(place))
    path.unlink()
    KINDS[kind](path)
    assert_complete(store.ensure(KEY, FILES, Source()))
    store.gc()
    assert store.open(KEY, FILES) is not None


LIMITED = """
import resource, sys
sys.path[:0] = {path!r}
from inference_models.cache import facts, manifest, stamps, store
from inference_models.freeze import bundle, lockfile
from inference_models.package import inference_config as config, text_files
from inference_models.errors import BaseInferenceModelsError
from pathlib import Path
path, size = Path(sys.argv[1]), Path(sys.argv[1]).stat().st_size
def used():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (used() + 3 * size + (256 << 20),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
try:
    {read}
except (BaseInferenceModelsError, ValueError, OSError) as exc:
    print("refused", type(exc).__name__)
else:
    print("read")
"""
READERS = {
    "manifest": (MAX_BYTES, "assert isinstance(manifest.read_manifest(path.parent), manifest.Damage)"),
    "facts": (MAX_BYTES, "facts.checked_content(path)"),
    "stamps": (MAX_BYTES, "stamps.Stamps.read(path, path.parent)"),
    "lock": (3 << 19, "lockfile.read_lock(path)"),
    "configuration": (
        8 << 20,
        "config.parse_inference_config(text_files.read_text(path, where='x'))",
    ),
}
TEXTS: dict[str, Callable[[int], bytes]] = {
    "lists": lambda size: b'{"files":[' + b"[]," * (size // 3 - 10) + b"[]]}",
    "objects": lambda size: b'{"files":[' + b"{}," * (size // 3 - 10) + b"{}]}",
    "keys": lambda size: b"{" + b",".join(b'"%x":1' % number for number in range(size // 12)) + b"}",
    "wrong values": lambda size: b'{"format":1,"files":[' + b"1," * (size // 2 - 20) + b"1]}",
    "levels": lambda size: b"[" * size,
    "spaces": lambda size: b" " * size,
    "digits": lambda size: b'{"format":' + b"1" * (size - 20) + b"}",
    "tables": lambda size: b"".join(b"[a%x]\n" % number for number in range(size // 10)),
    "dotted keys": lambda size: b"a." * (size // 2 - 2) + b"a=1",
    "many models": lambda size: b"format=1\ncreated_with=''\n" + b"[[models]]\n" * (size // 11 - 4),
}


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("reader", READERS)
def test_a_file_up_to_its_limit_costs_three_times_its_size_and_ten_seconds(
    tmp_path: Path, reader: str, text: str
) -> None:
    size, read = READERS[reader]
    path = tmp_path / ".manifest.json"
    path.write_bytes(TEXTS[text](size))
    assert path.stat().st_size <= size
    code = textwrap.dedent(LIMITED).format(path=sys.path, read=read)
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert done.stdout.split()[:1] in (["refused"], ["read"]), done.stderr[-300:]
