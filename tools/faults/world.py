"""One cache, one server, two small models, and the processes that load them.

Every load runs in a child of this process, forked before any runtime has threads, so that it can be killed anywhere.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from faults.source import UrlSource
from inference_models import auto
from inference_models.cache.store import PackageKey, PackageStore
from inference_models.entities import (
    BackendType,
    FileDownloadSpecs,
    InlineFileSpecs,
    ModelMetadata,
    ModelPackageMetadata,
    ONNXPackageDetails,
    Quantization,
)
from inference_models.errors import BaseInferenceModelsError, ModelRetrievalError
from inference_models.loading import describe
from inference_models.loading.address import ModelAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.transport.stream import FileStream

SECRET = "canary-3f9c-do-not-show"
PACKAGE = "p1"
CLASSES = ["a", "b", "c", "d"]
IMAGES = [np.random.default_rng(seed).integers(0, 256, (40 + 8 * seed, 56, 3), dtype=np.uint8) for seed in range(3)]
CONFIG = {
    "network_input": {
        "training_input_size": {"height": 8, "width": 8},
        "dynamic_spatial_size_supported": False,
        "color_mode": "rgb",
        "resize_mode": "stretch",
        "input_channels": 3,
        "scaling_factor": 255,
    },
    "post_processing": {"type": "softmax", "fused": False},
}


@dataclass(frozen=True)
class Outcome:
    """How a child ended."""

    result: Any
    """What it returned; None when it did not get there."""
    error: dict | None
    """Class, ancestors and text of what it raised."""
    status: int
    """Negative: killed by that signal."""
    seconds: float

    @property
    def ok(self) -> bool:
        return self.error is None and self.status == 0


@dataclass
class Child:
    pid: int
    pipe: int
    started: float

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float = 60.0) -> Outcome:
        text = b""
        while True:
            ready, _, _ = select.select([self.pipe], [], [], max(0.0, self.started + timeout - time.monotonic()))
            if not ready:
                os.kill(self.pid, signal.SIGKILL)
                text = json.dumps({"error": {"class": "Timeout", "bases": [], "text": f"over {timeout} s"}}).encode()
                break
            piece = os.read(self.pipe, 1 << 16)
            if not piece:
                break
            text += piece
        os.close(self.pipe)
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        said = json.loads(text) if text else {}
        return Outcome(said.get("result"), said.get("error"), status, time.monotonic() - self.started)


def start(work: Callable[[], object]) -> Child:
    reader, writer = os.pipe()
    started = time.monotonic()
    pid = os.fork()
    if pid:
        os.close(writer)
        return Child(pid, reader, started)
    os.close(reader)
    said: dict[str, Any] = {}
    code = 0
    try:
        said["result"] = work()
    except SystemExit as exc:
        code = int(exc.code or 0)
    except BaseException as exc:  # noqa: BLE001 - told to the parent
        bases = [base.__name__ for base in type(exc).__mro__]
        said["error"] = {"class": type(exc).__name__, "bases": bases, "text": str(exc)}
    os.write(writer, json.dumps(said).encode())
    os._exit(code)


def run(work: Callable[[], object], timeout: float = 60.0) -> Outcome:
    return start(work).wait(timeout)


class Server:
    def __init__(self) -> None:
        script = Path(__file__).with_name("server.py")
        self._process = subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def put(self, path: str, content: bytes) -> str:
        request = urllib.request.Request(self.url + path, data=content, method="PUT")
        urllib.request.urlopen(request).close()
        return self.url + path

    def faults(self, faults: list[dict] = (), *, repeat: dict | None = None) -> None:
        """What goes wrong from now on; the counts start at zero."""
        self.put("/control/faults", json.dumps({"faults": list(faults), "repeat": repeat}).encode())

    def requests(self) -> list[dict]:
        with urllib.request.urlopen(self.url + "/control/stats") as answer:
            return json.load(answer)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class NoSource:
    """A provider without a network: whoever asks it has lost."""

    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:
        raise ModelRetrievalError(f"{file.file_handle} is not fetched.", needs="a network", found="none")


class TestProvider:
    __test__ = False

    def __init__(self, models: dict[str, ModelMetadata], source: object) -> None:
        self._models = models
        self._source = source

    def describe(self, model_id: str, options: object = None) -> ModelMetadata:
        return self._models[model_id]

    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:
        return self._source.open(file, start=start, stop=stop)

    @property
    def read(self) -> object:
        """For a loader that hands over the reader instead of the provider."""
        return self

    def close(self) -> None:
        pass


class World:
    def __init__(self, base: Path, *, seed: int) -> None:
        logging.getLogger("inference-models").setLevel(logging.ERROR)
        base.mkdir()
        self.base = base
        self.root = base / "cache"
        self.random = random.Random(seed)
        self.share = 1.0
        """Of the cases of a group that are run; which ones, the seed says."""
        self.server = Server()
        self.models: dict[str, ModelMetadata] = {}
        self.graphs: dict[str, bytes] = {}
        self.reference: dict[str, list] = {}

    def add_model(self, name: str, *, extra: int = 1024, md5_only: bool = False) -> ModelMetadata:
        """A classifier with one more file of `extra` random bytes."""
        graph = _graph(self.base / f"{name}.onnx", seed=len(self.models))
        filler = self.random.randbytes(extra)
        files = [self._spec(name, "extra.bin", filler, md5_only), self._spec(name, "weights.onnx", graph, md5_only)]
        texts = {
            "class_names.txt": "\n".join(CLASSES) + "\n",
            "inference_config.json": json.dumps(CONFIG),
            "model_config.json": json.dumps(
                {"model_architecture": "resnet", "task_type": "classification", "backend_type": "onnx"}
            ),
        }
        package = ModelPackageMetadata(
            package_id=PACKAGE,
            backend=BackendType.ONNX,
            package_artefacts=[*files, *(InlineFileSpecs(handle, text) for handle, text in texts.items())],
            quantization=Quantization.FP32,
            dynamic_batch_size_supported=True,
            onnx_package_details=ONNXPackageDetails(17),
            trusted_source=True,
        )
        self.models[name] = ModelMetadata(name, "resnet", [package], task_type="classification")
        self.graphs[name] = graph
        clean = self.base / "reference" / name
        outcome = run(lambda: [self.load(name, root=clean), library_modules()])
        if not outcome.ok:
            raise RuntimeError(f"the model cannot be loaded at all: {outcome}")
        self.reference[name], modules = outcome.result
        for module in modules:  # or every child would spend most of its time on imports
            importlib.import_module(module)
        shutil.rmtree(clean)
        return self.models[name]

    def _spec(self, name: str, handle: str, content: bytes, md5_only: bool) -> FileDownloadSpecs:
        return FileDownloadSpecs(
            self.server.put(f"/{name}/{handle}", content),
            handle,
            md5_hash=hashlib.md5(content).hexdigest() if md5_only else None,
            sha256_hash=None if md5_only else hashlib.sha256(content).hexdigest(),
            size=len(content),
        )

    def model_of(self, extra: int) -> str:
        """A model with a file of this size, made when it is first asked for."""
        name = f"m{extra}"
        if name not in self.models:
            self.add_model(name, extra=extra)
        return name

    def ensure_before(self) -> None:
        """Make sure that the model stored before all faults is there."""
        if "before" not in self.models:
            self.add_model("before")
        outcome = run(lambda: self.load("before"))
        if not outcome.ok:
            raise RuntimeError(f"the model stored before cannot be loaded: {outcome}")

    def skips(self) -> bool:
        """Whether the short form leaves the next case out."""
        return self.share < 1 and self.random.random() >= self.share

    def key(self, name: str) -> PackageKey:
        return PackageKey("faults", name, PACKAGE)

    @property
    def store(self) -> PackageStore:
        return PackageStore(self.root)

    def folder(self, name: str) -> Path:
        return self.store.folder_of(self.key(name))

    def ensure(self, name: str, source: object | None = None, **options: object) -> str:
        files = self.models[name].model_packages[0].package_artefacts
        return str(self.store.ensure(self.key(name), files, source or UrlSource(), **options))

    def load(
        self, name: str, source: object | None = None, root: Path | None = None, *, remember: bool = False
    ) -> list:
        """Outputs of the model for the three images, as text that keeps every bit. To be run in a child."""
        os.environ["INFERENCE_HOME"] = str(root or self.root)
        os.environ["ROBOFLOW_API_KEY"] = SECRET
        provider = TestProvider(self.models, source or UrlSource())
        describe.open_provider = lambda *arguments, **options: provider
        auto.parse_address = lambda model, *arguments, **options: ModelAddress("faults", model)
        before = set(threading.enumerate())
        model = auto.AutoModel.from_pretrained(name, "faults", api_key=SECRET, use_auto_resolution_cache=remember)
        scores = [model(image).confidence for image in IMAGES]
        result = [np.asarray(score).tobytes().hex() for score in scores]
        left = [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("inference-")]
        if left:
            raise RuntimeError(f"threads were left: {left}")
        return result

    def copy_of_cache(self, name: str) -> Path:
        target = self.base / name
        shutil.copytree(self.root, target, symlinks=True)
        return target

    def clear(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def close(self) -> None:
        self.server.close()
        shutil.rmtree(self.base, ignore_errors=True)


def library_modules() -> list[str]:
    """The modules of this library that are imported here."""
    return sorted(name for name in sys.modules if name.partition(".")[0] == "inference_models")


def is_documented(error: dict | None) -> bool:
    return error is None or BaseInferenceModelsError.__name__ in error["bases"]


def _graph(path: Path, *, seed: int) -> bytes:
    from onnx import helper

    from graphs import save

    generator = np.random.default_rng(seed)
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["output0"]),
    ]
    weights = {"w": generator.normal(size=(3, 4)).astype(np.float32) * 8}
    save(path, nodes, inputs={"images": ["batch", 3, 8, 8]}, outputs={"output0": ["batch", 4]}, weights=weights)
    return path.read_bytes()
