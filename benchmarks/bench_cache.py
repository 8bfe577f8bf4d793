"""What the cache costs: opening a stored package, verifying, and a cold download, each against a plain tool.

python benchmarks/bench_cache.py [FOLDER]     (2 GB free; a temporary folder by default; curl and sha256sum on PATH)
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

from timing import table

from inference_models.cache import stamps
from inference_models.cache.manifest import MANIFEST_NAME, manifest_text, read_manifest
from inference_models.cache.store import PackageKey, PackageStore
from inference_models.entities import FileDownloadSpecs, InlineFileSpecs
from inference_models.transport.client import HttpClient
from inference_models.transport.stream import FileStream, RangeSource

sys.path.extend(str(Path(__file__).resolve().parent.parent / folder) for folder in ("tools", "tests"))
from faults.source import UrlSource

BIG = 500_000_000
COUNTS = (1, 1_000, 10_000)
ROUNDS = 5


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def files_of(url: str, content: bytes) -> list:
    digest = hashlib.sha256(content).hexdigest()
    return [
        FileDownloadSpecs(url, "weights.onnx", sha256_hash=digest, size=len(content)),
        InlineFileSpecs("a.txt", "a"),
    ]


def opening(base: Path) -> list[tuple[str, ...]]:
    """Milliseconds to open one stored package among many, and of a session on it."""
    import onnxruntime

    from graphs import convolution

    graph = convolution(base / "graph.onnx")[0].read_bytes()
    files, rows, root = files_of("x", graph), [], base / "many"
    store, stored = PackageStore(root), 0
    for count in COUNTS:
        for number in range(stored, count):
            add(store, number, files, graph)
        stored = count
        keys = [PackageKey("bench", f"model-{number}", "p1") for number in random.Random(1).choices(range(count), k=50)]
        opened, sessions = [], []
        for key in keys:
            opened.append(seconds(lambda key=key: store.ensure(key, files, None)))
            path = store.folder_of(key) / "weights.onnx"
            sessions.append(
                seconds(lambda path=path: onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]))
            )
        shown = f"{statistics.median(opened) * 1e3:.2f} ms (worst {max(opened) * 1e3:.1f})"
        shown += f"; the session {statistics.median(sessions) * 1e3:.2f} ms"
        rows.append(
            (
                f"opening a stored package, {count:,} in the cache",
                shown,
                "< 20 ms",
            )
        )
    return rows


def add(store: PackageStore, number: int, files: list, graph: bytes) -> None:
    """A stored package; all but the first are copied, which is faster than ten thousand synced writes."""
    key, first = PackageKey("bench", f"model-{number}", "p1"), PackageKey("bench", "model-0", "p1")
    if number == 0:
        store.ensure(key, files, lambda _: iter([graph]))
        return
    folder = store.folder_of(key)
    shutil.copytree(store.folder_of(first), folder)
    copied = read_manifest(folder)
    (folder / MANIFEST_NAME).write_text(manifest_text(replace(copied, model_id=key.model_id)))
    if store.open(key) is None:  # writes the stamps
        raise RuntimeError("a copied package cannot be opened")


def verifying(base: Path, big: Path) -> tuple[str, ...]:
    """Megabytes per second of a full verification, and of sha256sum, in turn."""
    store, key = PackageStore(base / "verify"), PackageKey("bench", "big", "p1")
    store.ensure(key, files_of("x", big.read_bytes()), lambda _: iter([big.read_bytes()]))
    path = store.folder_of(key) / "weights.onnx"
    pairs = []
    for _ in range(ROUNDS):
        plain = seconds(lambda: subprocess.run(["sha256sum", path], check=True, stdout=subprocess.DEVNULL))
        ours = seconds(lambda: store.verify(full=True))
        pairs.append((plain, ours))
    ratio = statistics.median(plain / ours for plain, ours in pairs)
    rate = BIG / 1e6 / statistics.median(ours for _, ours in pairs)
    shutil.rmtree(store.root)
    return "full verify against `sha256sum`", f"{ratio:.2f} of its rate ({rate:.0f} MB/s)", ">= 0.80"


class Sender(http.server.SimpleHTTPRequestHandler):
    """Ranges and `sendfile`, so that the server is not what is measured."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        with Path(self.translate_path(self.path)).open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            asked = self.headers.get("Range")
            first, _, last = (asked or "bytes=0-").removeprefix("bytes=").partition("-")
            start, stop = int(first), int(last) + 1 if last else size
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(stop - start))
            self.send_header("ETag", '"1"')
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            self.end_headers()
            self.wfile.flush()
            while start < stop:
                start += os.sendfile(self.connection.fileno(), stream.fileno(), start, stop - start)

    def log_message(self, *arguments: object) -> None:
        pass


def serve(folder: str) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Sender, directory=folder))
    print(server.server_port, flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    server.serve_forever()


class OwnClient:
    """The HTTP client of the library, as its providers use it."""

    def __init__(self) -> None:
        self._client = HttpClient()

    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:
        return self._client.open_url(file.download_url, start=start, stop=stop)


def downloading(base: Path, big: Path, source: RangeSource) -> tuple[str, ...]:
    """Megabytes per second of a cold, verified, synced download, and of `curl -o`, in turn."""
    command = [sys.executable, __file__, "--serve", str(big.parent)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{int(server.stdout.readline())}/{big.name}"
    files = files_of(url, big.read_bytes())
    store, key, target = PackageStore(base / "cold"), PackageKey("bench", "big", "p1"), base / "curl.bin"
    pairs = []
    for _ in range(ROUNDS):
        plain = seconds(lambda: subprocess.run(["curl", "-s", "-o", target, url], check=True))
        target.unlink()
        ours = seconds(lambda: store.ensure(key, files, source))
        pairs.append((plain, ours))
        shutil.rmtree(store.root)
    server.stdin.close()
    server.wait()
    ratio = statistics.median(plain / ours for plain, ours in pairs)
    rates = [BIG / 1e6 / statistics.median(column) for column in zip(*pairs, strict=True)]
    shown = f"{ratio:.2f} of its rate ({rates[1]:.0f} and {rates[0]:.0f} MB/s)"
    what = f"cold download of 500 MB from loopback by {type(source).__name__}, hashed and synced, against `curl`"
    return what, shown, ">= 0.70"


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        base = Path(folder)
        big = base / "big.bin"
        piece = random.Random(1).randbytes(BIG // 50)
        with big.open("wb") as stream:
            for number in range(50):
                stream.write(piece[number:] + piece[:number])
        os.sync()
        downloads = [downloading(base, big, source) for source in (OwnClient(), UrlSource(chunk=1 << 20))]
        rows = [verifying(base, big), *downloads, *opening(base)]
    print(table(rows, ("what", "measured", "promise")))
    print(f"\nstamps hold for boot {stamps.boot_id()[:8]}; {os.cpu_count()} cores; medians of {ROUNDS} rounds, in turn")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
    else:
        main()
