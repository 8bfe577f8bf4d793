"""The child process: opens one model, and answers one line of JSON for each line it is given.

    {"op": "open", "job": "job-0.json", "images": ["image-0.npy"]}  -> {"seconds": 0.4, "peak": 150000000, ...}
    {"op": "warm", "least": 3, "seconds": 0.3}                      -> {"times": [ns, ...], "peak": ...}
    {"op": "run", "times": 10, "image": 0}                          -> {"times": [ns, ...], "peak": ...}
    {"op": "answers", "images": 4}                                  -> {"answers": [[{...}], ...], "peak": ...}
    {"op": "save_outputs", "images": 4, "path": "outputs.npz"}      -> {"saved": 4, "peak": ...}
    {"op": "compare_outputs", "path": "outputs.npz"}                -> {"note": None, "outputs": [...], "peak": ...}

Anything that is raised is answered as {"error": {"class": ..., "text": ...}}. The process ends with its input, with
the process that started it, or when its time is over.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from inference_models.measure.answers import answer_of
from inference_models.measure.job import load_job
from inference_models.measure.memory import peak_memory
from inference_models.measure.outputs import compare_outputs, save_outputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import NumpyArray

MAX_ERROR = 2000
"""Characters of an error text that are passed on."""
_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG."""


class Worker:
    """One model, and the images it is run on."""

    def __init__(self) -> None:
        self._model: Any = None
        self._images: list[NumpyArray] = []
        self._operations: dict[str, Callable[..., dict[str, Any]]] = {
            "answers": self.answers,
            "compare_outputs": self.compare_outputs,
            "open": self.open,
            "run": self.run,
            "save_outputs": self.save_outputs,
            "warm": self.warm,
        }

    def reply(self, message: dict[str, Any]) -> dict[str, Any]:
        """The answer to one message."""
        options = {name: value for name, value in message.items() if name != "op"}
        try:
            said = self._operations[message["op"]](**options)
        except Exception as exc:  # noqa: BLE001 - whatever a package or a runtime raises is told to the parent
            return {"error": {"class": type(exc).__name__, "text": str(exc)[:MAX_ERROR]}}
        return {**said, "peak": peak_memory()}

    def open(self, job: str, images: list[str]) -> dict[str, Any]:
        """Load the model; the seconds include the import of its runtime."""
        self._images = [np.load(path, allow_pickle=False) for path in images]
        started = time.perf_counter()
        self._model = load_job(json.loads(Path(job).read_text("utf-8")))
        seconds = time.perf_counter() - started
        resolved = getattr(self._model, "resolved_model", None)
        return {"seconds": seconds, "device": getattr(resolved, "device", None)}

    def warm(self, least: int, seconds: float) -> dict[str, Any]:
        """Calls that are not counted: at least so many, and for so long."""
        times: list[int] = []
        until = time.perf_counter() + seconds
        while len(times) < least or time.perf_counter() < until:
            times.append(self._timed(self._images[len(times) % len(self._images)]))
        return {"times": times}

    def run(self, times: int, image: int) -> dict[str, Any]:
        """Nanoseconds of each of so many calls with one image, pre-processing included."""
        return {"times": [self._timed(self._images[image]) for _ in range(times)]}

    def answers(self, images: int) -> dict[str, Any]:
        """The predictions for the first images, those with low scores included."""
        return {"answers": [answer_of(self._model, image) for image in self._images[:images]]}

    def save_outputs(self, images: int, path: str) -> dict[str, Any]:
        """For how many of the first images there are raw outputs; they are in the file then."""
        return {"saved": save_outputs(self._model, self._images[:images], path)}

    def compare_outputs(self, path: str) -> dict[str, Any]:
        """How far the raw outputs are from those in the file."""
        return asdict(compare_outputs(self._model, self._images, path))

    def _timed(self, image: NumpyArray) -> int:
        started = time.perf_counter_ns()
        self._model(image)
        return time.perf_counter_ns() - started


def main(arguments: list[str]) -> None:
    """Serve until the input ends.

    Args:
        arguments: Seconds after which this process ends in any case, and the id of the process that started it.
    """
    life, parent = float(arguments[0]), int(arguments[1])
    faulthandler.enable()
    faulthandler.dump_traceback_later(life, exit=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    _end_with(parent)
    requests, answers = _own_streams()
    worker = Worker()
    for line in requests:
        answers.write(json.dumps(worker.reply(json.loads(line))).encode() + b"\n")
        answers.flush()
    os._exit(0)  # some runtimes crash or wait while they are taken down


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """Input and output for messages only: what a runtime or a package reads or prints goes elsewhere."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def _end_with(parent: int) -> None:
    """On Linux: end when the parent does, and be the first to go when memory runs out."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - only needed here

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it had ended already
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


if __name__ == "__main__":
    main(sys.argv[1:])
