"""A process that is forked while threads are at work: nothing in the child waits for a thread that is not there."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

import forked
import graphs
import inference_models
from inference_models import AutoModel
from inference_models.errors import InvalidParameterError, ModelRuntimeError
from inference_models.fork import Lock, RLock, cached_property
from inference_models.preprocess.values import BufferPool

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [forked.NEEDS_FORK, forked.QUIET]
IMAGE = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
BARE: dict[str, Any] = {"labels": ["a", "b", "c"], "model_type": "classifier", "task_type": "classification"}


def onnx_file(folder: Path) -> Path:
    outputs = {"scores": np.array([[0.1, 3.0, 0.2]], np.float32)}
    return graphs.constant_outputs(folder / "m.onnx", size=(64, 64), outputs=outputs)


def in_onnx(folder: Path) -> Any:
    pytest.importorskip("onnxruntime")
    return AutoModel.from_pretrained(onnx_file(folder), backend="onnx", **BARE)


def in_openvino(folder: Path) -> Any:
    pytest.importorskip("openvino")
    return AutoModel.from_pretrained(onnx_file(folder), backend="openvino", **BARE)


def in_litert(folder: Path) -> Any:
    pytest.importorskip("ai_edge_litert")
    import tflite_graphs

    return AutoModel.from_pretrained(tflite_graphs.mean_colour(folder / "m.tflite", size=64), **BARE)


def in_torch_script(folder: Path) -> Any:
    torch = pytest.importorskip("torch")
    import torch_graphs

    path = folder / "weights.torchscript"
    torch_graphs.save_archive(torch_graphs.Rows(torch.tensor([[0.1, 3.0, 0.2]])), path, example=(1, 3, 64, 64))
    return AutoModel.from_pretrained(path, **BARE, **torch_graphs.consent(folder))


@pytest.mark.parametrize("load", [in_litert, in_onnx, in_openvino, in_torch_script])
def test_a_model_loaded_before_a_fork_answers_in_the_child_or_says_what_to_do(
    load: Callable[[Path], Any], tmp_path: Path
) -> None:
    model = load(tmp_path)
    expected = model(IMAGE).confidence[0].tolist()

    def answers() -> bool:
        try:
            return model(IMAGE).confidence[0].tolist() == pytest.approx(expected, abs=1e-5)
        except ModelRuntimeError as exc:
            return load is in_openvino and "forked after the model was loaded" in str(exc)

    with forked.busy(lambda: model(IMAGE)):
        assert [forked.child_says(answers) for _ in range(4)] == [True] * 4
    assert model(IMAGE).confidence[0].tolist() == expected


@pytest.mark.parametrize("load", [in_litert, in_onnx, in_torch_script])
def test_a_child_loads_models_of_its_own(load: Callable[[Path], Any], tmp_path: Path) -> None:
    model = load(tmp_path)
    expected = model(IMAGE).confidence[0].tolist()
    with forked.busy(lambda: model(IMAGE)):
        assert forked.child_says(
            lambda: load(tmp_path)(IMAGE).confidence[0].tolist() == pytest.approx(expected, abs=1e-5)
        )


def test_a_file_that_changed_since_is_not_opened_in_the_child(tmp_path: Path) -> None:
    model = in_onnx(tmp_path)
    onnx_file(tmp_path).write_bytes((tmp_path / "m.onnx").read_bytes() + b"\0" * 0)

    def refused() -> bool:
        with pytest.raises(ModelRuntimeError, match=r"found: one loaded before the fork: m\.onnx changed since then"):
            model(IMAGE)
        return True

    assert forked.child_says(refused)


def test_a_closed_model_is_closed_in_the_child_too(tmp_path: Path) -> None:
    model = in_onnx(tmp_path)
    model.close()

    def refused() -> bool:
        with pytest.raises(ModelRuntimeError, match="the model was closed"):
            model(IMAGE)
        return True

    assert forked.child_says(refused)


WORKERS = """
import multiprocessing, sys
import numpy as np
from inference_models import AutoModel
OPTIONS = {"labels": ["a", "b", "c"], "model_type": "classifier", "task_type": "classification"}
IMAGE = np.zeros((480, 640, 3), np.uint8)

def start(path):
    global model
    model = AutoModel.from_pretrained(path, **OPTIONS)

def answer(number):
    return int(model(IMAGE).confidence[0].argmax())

if __name__ == "__main__":
    method, path = sys.argv[1:]
    start(path)
    assert answer(0) == 1
    with multiprocessing.get_context(method).Pool(2, start, [path]) as pool:
        assert pool.map(answer, range(6)) == [1] * 6
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_of_every_start_method_load_their_own_model(method: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    script = tmp_path / "workers.py"
    script.write_text(WORKERS)
    command = [sys.executable, str(script), method, str(onnx_file(tmp_path))]
    subprocess.run(command, check=True, timeout=300)


APPLICATION = """
import os, sys
import numpy as np
from inference_models import AutoModel
OPTIONS = {"labels": ["a", "b", "c"], "model_type": "classifier", "task_type": "classification"}
IMAGE = np.zeros((480, 640, 3), np.uint8)
model, master = AutoModel.from_pretrained(os.environ["MODEL"], **OPTIONS), os.getpid()
model(IMAGE)

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getppid() == master} {int(model(IMAGE).confidence[0].argmax())}".encode()]
"""


def test_workers_of_gunicorn_use_a_model_that_was_loaded_before_them(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("gunicorn")
    (tmp_path / "served.py").write_text(APPLICATION)
    place = tmp_path / "socket"
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", f"unix:{place}"]
    environment = {**os.environ, "HOME": str(tmp_path), "MODEL": str(onnx_file(tmp_path))}
    with subprocess.Popen([*command, "served:application"], cwd=tmp_path, env=environment) as server:
        try:
            while not place.exists():
                assert server.poll() is None
                time.sleep(0.05)
            transport = httpx.HTTPTransport(uds=str(place), retries=3)
            with httpx.Client(transport=transport, timeout=120) as client:
                answers = [client.get("http://worker").text for _ in range(8)]
        finally:
            server.terminate()
    assert answers == ["True 1"] * 8


def test_a_loaded_model_is_not_sent_to_another_process(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="cannot be sent to another process"):
        pickle.dumps(in_onnx(tmp_path))


class Slow:
    """Its value is computed while the process is forked."""

    begun, go_on = threading.Event(), threading.Event()

    @cached_property
    def value(self) -> int:
        self.begun.set()
        self.go_on.wait(60)
        return 1


def test_a_value_that_another_thread_was_computing_is_computed_in_the_child() -> None:
    slow = Slow()
    thread = threading.Thread(target=lambda: slow.value)
    thread.start()
    slow.begun.wait(60)

    def computed() -> bool:
        Slow.go_on = threading.Event()
        slow.go_on.set()
        return slow.value == 1

    try:
        assert forked.child_says(computed)
    finally:
        slow.go_on.set()
        thread.join()


@pytest.mark.parametrize("kind", [Lock, RLock])
def test_a_lock_that_another_thread_holds_is_open_in_the_child(kind: type[Lock]) -> None:
    lock, held, done = kind(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    try:
        assert forked.child_says(lambda: lock.acquire(blocking=False))
        assert not lock.acquire(blocking=False)
    finally:
        done.set()
        thread.join()


def test_a_child_may_leave_a_block_in_which_it_was_forked() -> None:
    lock = Lock()

    def left() -> bool:
        lock.release()
        return lock.acquire(blocking=False)

    with lock:
        assert forked.child_says(left)


def test_buffers_that_another_thread_was_giving_back_are_not_in_the_pool_of_the_child() -> None:
    pool = BufferPool()
    pool.give(np.empty(8))
    assert forked.child_says(lambda: pool.idle_bytes == 0)
    assert pool.idle_bytes == 64


def test_every_lock_is_one_that_opens_in_a_child() -> None:
    root = Path(inference_models.__file__).parent
    sources = {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in root.rglob("*.py")}
    plain = r"threading\.R?Lock\(|threading import .*\bR?Lock\b|functools import .*\bcached_property\b"
    assert [name for name, text in sources.items() if re.search(plain, text)] == ["fork.py"]
