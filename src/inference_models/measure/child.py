"""The parent's end of one child process: started, asked, watched, and ended without fail."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from inference_models import config
from inference_models.measure.memory import is_working, memory_of
from inference_models.measure.processes import end_marked

if TYPE_CHECKING:
    from typing_extensions import Self

_START = "import sys; sys.path[:] = sys.argv[3:]; from inference_models.measure.worker import main; main(sys.argv[1:3])"
"""The child finds every library where this process finds it, and nothing through variables or the working folder."""
KEPT_VARIABLES = (
    "CUDA_DEVICE_ORDER",
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDA_VISIBLE_DEVICES",
    "DYLD_LIBRARY_PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_VISIBLE_DEVICES",
    "ONNXRUNTIME_EXECUTION_PROVIDERS",
    "OPENCV_IPP",
    "ORT_DISABLE_TELEMETRY",
    "PATH",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "TMPDIR",
    "TZ",
    "USERPROFILE",
    "WINDIR",
)
KEPT_PREFIXES = ("GOMP_", "KMP_", "MKL_", "OMP_", "OPENBLAS_", "OPENCV_FOR_", "INFERENCE_MODELS_COREML_")
"""Variables that set threads, or how a runtime opens a package. Everything else stays here, and with it every key."""
MARK = "INFERENCE_MODELS_MEASUREMENT"
"""Names the child in its environment and in that of whatever it starts."""
OFFLINE = {"HF_HUB_OFFLINE": "1", "OFFLINE_MODE": "1"}
MAX_LINE = 64 << 20
KEPT_LINES = 12
_LOOK_S = 0.1
"""Between two looks at the memory and the deadline."""
_SETTLE_S = 0.3
"""Threads of a pool that has nothing to do any more spin for so long at most, before they sleep."""
_GONE_S = 5.0
"""A killed process is gone after so long, or hangs in the system, where nobody can end it."""
_LAST_WORDS_S = 0.5
"""For what is left in a pipe; a process that got away may hold it open for ever."""


@dataclass(frozen=True)
class Limits:
    """What a child may use."""

    life: float
    """Seconds after which it ends by itself, should the parent be gone."""
    memory: int | None = None
    """Bytes; None: nobody watches."""


class ChildFailedError(Exception):
    """A child did not answer as it should; it is ended."""

    def __init__(self, status: str, words: str) -> None:
        super().__init__(words)
        self.status = status
        """`crashed`, `hung`, `failed` or `too much memory`."""
        self.words = words


def child_environment() -> dict[str, str]:
    """The variables a child gets: what decides how a package is opened, and no key, no proxy and no network."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in KEPT_VARIABLES or name.upper().startswith(KEPT_PREFIXES)
    }
    return {**kept, **OFFLINE, "INFERENCE_HOME": str(config.cache_directory())}


def can_start_children() -> bool:
    """Whether this program is a Python that can be started again; one frozen into an executable would start itself."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


class Child:
    """One worker. `with Child(...) as child:` leaves no process behind, whatever happens in the block.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._closed = False
        self._mark = uuid.uuid4().hex
        self._doing = "started"
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        paths = [str(Path(entry).absolute()) for entry in sys.path if entry]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
            [sys.executable, "-I", "-c", _START, str(limits.life), str(os.getpid()), *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**child_environment(), MARK: self._mark},
            start_new_session=os.name != "nt",
        )
        self._readers = [
            threading.Thread(target=work, name=f"inference-measure-{self.pid}", daemon=True)
            for work in (self._read_answers, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def last_lines(self) -> tuple[str, ...]:
        """What it wrote to standard error last."""
        return tuple(self._last_lines)

    def ask(self, doing: str, message: dict[str, Any], *, deadline: float) -> dict[str, Any]:
        """The answer to `message`.

        Args:
            doing: What the child does meanwhile, for the report: "opened", "run".
            message: One operation of the worker.
            deadline: `time.monotonic()` after which it is ended.

        Raises:
            ChildFailedError: it crashed, raised, used too much memory, or was silent until the deadline.
        """
        self._doing = doing
        asked = time.monotonic()
        with suppress(OSError):  # it is gone already: the end of its output says so
            stdin = self._stream("stdin")
            stdin.write(json.dumps(message).encode() + b"\n")
            stdin.flush()
        answer = self._parsed(self._next_line(asked, deadline))
        error = answer.get("error")
        if error is not None:
            first, *_ = str(error["text"]).splitlines() or [""]
            raise ChildFailedError("failed", f"{error['class']} while it was {doing}: {first}")
        return answer

    def settle(self) -> None:
        """Wait until its threads sleep, so that they take nothing from the next candidate."""
        until = time.monotonic() + _SETTLE_S
        while is_working(self.pid) and time.monotonic() < until:
            time.sleep(0.002)

    def close(self) -> None:
        """End the process and everything it started. May be called more than once; takes a few seconds at most."""
        if self._closed:
            return
        self._closed = True
        with suppress(ProcessLookupError, PermissionError):
            if os.name == "nt":
                self._process.kill()
            else:
                os.killpg(self.pid, signal.SIGKILL)
        end_marked(self._mark)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_GONE_S)
        with suppress(OSError):
            self._stream("stdin").close()
        for reader, name in zip(self._readers, ("stdout", "stderr"), strict=True):
            reader.join(timeout=_LAST_WORDS_S)
            if not reader.is_alive():  # closing what a thread waits for would wait as well
                self._stream(name).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next_line(self, asked: float, deadline: float) -> bytes:
        while True:
            left = deadline - time.monotonic()
            try:
                line = self._answers.get(timeout=max(0.0, min(_LOOK_S, left)))
            except queue.Empty:
                if left <= 0:
                    raise self._failed("hung", f"no answer within {time.monotonic() - asked:.1f} s") from None
                self._check_memory()
                continue
            if line is None:
                raise self._ended()
            return line

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            return answer
        raise self._failed("failed", "it wrote something else than answers")

    def _check_memory(self) -> None:
        limit, used = self._limits.memory, memory_of(self.pid)
        if limit is not None and used is not None and used > limit:
            raise self._failed("too much memory", f"it took {used / 1e6:,.0f} MB of {limit / 1e6:,.0f} MB")

    def _ended(self) -> ChildFailedError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        code = self._process.returncode
        words = "it closed its output" if code is None else _exit_words(code)
        return self._failed("crashed", words)

    def _failed(self, status: str, words: str) -> ChildFailedError:
        self.close()
        return ChildFailedError(status, f"{words} while it was {self._doing}")

    def _stream(self, name: str) -> IO[bytes]:
        stream: IO[bytes] = getattr(self._process, name)
        return stream

    def _read_answers(self) -> None:
        stream = self._stream("stdout")
        with suppress(OSError, ValueError):  # closed while it is read
            while line := stream.readline(MAX_LINE):
                self._answers.put(line)
        self._answers.put(None)

    def _read_errors(self) -> None:
        stream = self._stream("stderr")
        with suppress(OSError, ValueError):
            while line := stream.readline(2000):
                self._last_lines.append(line.decode("utf-8", "replace").rstrip())


def _exit_words(code: int) -> str:
    if code >= 0:
        return f"it ended with code {code:#x}" if code > 255 else f"it ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"it was ended by {name}"
