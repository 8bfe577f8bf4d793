"""A function of ours in a process of its own, for what could crash, hang or fill the memory.

The child is a clean interpreter: it finds libraries where this process finds them, gets the variables named here and
nothing else, and answers each line of JSON with one line of JSON. It ends with its input, with this process, or when
its time is over, and whatever it started ends with it.
"""

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
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from inference_models.machine.hardware import read_text
from inference_models.machine.libraries import DECIDING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import Self

_HARMLESS = (
    "HOME",
    "INFERENCE_MODELS_TRIAL_SECONDS",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "ONNXRUNTIME_EXECUTION_PROVIDERS",
    "OPENCV_IPP",
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
_TUNABLES = ("BLIS_", "GOMP_", "KMP_", "MKL_", "OMP_", "OPENBLAS_", "OPENCV_FOR_", "INFERENCE_MODELS_COREML_")
"""How the variables of libraries for arithmetic begin: they hold numbers and switches, and no keys."""
_ALWAYS = {"HF_HUB_OFFLINE": "1", "OFFLINE_MODE": "1", "ORT_DISABLE_TELEMETRY": "1"}
_MARK = "INFERENCE_MODELS_CHILD"
"""Names the child in its environment and in that of whatever it starts."""
_START = (
    "import sys; sys.path[:] = sys.argv[4:]; from inference_models.machine.child_main import main; main(*sys.argv[1:4])"
)
_MAX_LINE = 64 << 20
_KEPT_LINES = 20
_LOOK_S = 0.1
"""Between two looks at the memory and the deadline."""
_GONE_S = 5.0
"""Seconds to wait for a killed process; one that hangs in the kernel cannot be ended."""
_LAST_WORDS_S = 0.5
"""For what is left in a pipe; a process that got away may hold it open for ever."""
_PASSES = 10
"""A process may start another one while it is looked for."""
CRASHED, HUNG, FAILED, TOO_MUCH_MEMORY = "crashed", "hung", "failed", "too much memory"


class ChildFailedError(Exception):
    """A child did not answer as it should; unless it merely raised, it is ended."""

    def __init__(self, status: str, words: str, cause: str = "") -> None:
        super().__init__(words)
        self.status = status
        """`CRASHED`, `HUNG`, `FAILED` or `TOO_MUCH_MEMORY`."""
        self.words = words
        self.cause = cause
        """Of a crash: `by SIGILL`, `with status 7`."""


def child_environment() -> dict[str, str]:
    """The variables a child gets: what decides how libraries are loaded, and no key, no proxy and no network."""
    known = {*DECIDING, *_HARMLESS}
    kept = {name: value for name, value in os.environ.items() if name.upper() in known or name.startswith(_TUNABLES)}
    return {**kept, **_ALWAYS}


def can_start_children() -> bool:
    """Whether `sys.executable` is a Python; a frozen program and uWSGI would start themselves once more."""
    return bool(sys.executable) and not getattr(sys, "frozen", False) and "uwsgi" not in sys.modules


class Child:
    """One process. `with Child(...) as child:` leaves none behind, whatever happens in the block.

    Args:
        function: `module:name` of a function that takes the messages as keywords and returns a dictionary, or of a
            class whose object does.
        life: Seconds after which it ends by itself, should this process be gone.
        memory: Bytes it may hold, looked at ten times a second on Linux and where psutil is installed, and not limited
            elsewhere (no job object is made on Windows); None: any number.
        variables: Environment variables besides `child_environment`.

    Raises:
        OSError: no process can be started.
    """

    def __init__(
        self, function: str, *, life: float, memory: int | None = None, variables: Mapping[str, str] | None = None
    ) -> None:
        self._memory = memory
        self._closed = False
        self._mark = uuid.uuid4().hex
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.started = False
        """Whether it has got as far as running our code."""
        self.peak_memory: int | None = None
        """Bytes it was seen to hold at most; None where psutil is not installed."""
        self.processor_seconds = 0.0
        """Of the processor it was seen to have used; 0 where psutil is not installed."""
        self._ends = time.monotonic() + life
        paths = [str(Path(entry).absolute()) for entry in sys.path if entry]
        options = ["-I", "-B", "-X", "utf8", "-c", _START]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
            [sys.executable, *options, function, str(life), str(os.getpid()), *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**child_environment(), **(variables or {}), _MARK: self._mark},
            start_new_session=os.name != "nt",
        )
        self._readers = [
            threading.Thread(target=work, name=f"inference-child-{self._process.pid}", daemon=True)
            for work in (self._read_answers, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines the child wrote to standard error."""
        return tuple(self._last_lines)

    def goes_on(self, seconds: float, memory: int) -> bool:
        """Whether it runs, and will for so long; it may hold these bytes from now on, looked at as before."""
        self._memory, self.peak_memory = memory, None
        return not self._closed and self._process.poll() is None and time.monotonic() + seconds < self._ends

    def ask(
        self,
        doing: str,
        message: dict[str, Any],
        *,
        deadline: float,
        meanwhile: Callable[[], object] | None = None,
    ) -> dict[str, Any]:
        """The answer to `message`.

        Args:
            doing: What the child does meanwhile, for the report: "opened", "run".
            message: Keywords for the function.
            deadline: `time.monotonic()` after which it is ended.
            meanwhile: What this process does before it waits.

        Raises:
            ChildFailedError: it crashed, raised, used too much memory, or was silent until the deadline.
        """
        asked = time.monotonic()
        with suppress(OSError):  # it is gone already: the end of its output says so
            stdin = self._stream("stdin")
            stdin.write(json.dumps(message).encode("utf-8", "surrogatepass") + b"\n")
            stdin.flush()
        if meanwhile is not None:
            meanwhile()
        if not self.started:
            self.started = self._next_answer(doing, asked, deadline).get("ready") is True
        answer = self._next_answer(doing, asked, deadline)
        if self._memory is not None:
            self._used_memory()
        error = answer.get("error")
        if error is not None:
            first, *_ = str(error["text"]).splitlines() or [""]
            raise ChildFailedError(FAILED, f"{error['class']} while it was {doing}: {first}")
        return answer

    def close(self) -> None:
        """End the process and everything it started. May be called more than once; takes a few seconds at most."""
        if self._closed:
            return
        self._closed = True
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        end_marked(_MARK, self._mark)
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

    def _next_answer(self, doing: str, asked: float, deadline: float) -> dict[str, Any]:
        while True:
            left = deadline - time.monotonic()
            try:
                line = self._lines.get(timeout=max(0.0, min(_LOOK_S, left)))
            except queue.Empty:
                if left <= 0:
                    raise self._failed(HUNG, f"no answer within {time.monotonic() - asked:.1f} s", doing) from None
                if self._memory is not None and self._used_memory() > self._memory:
                    words = f"it took {self._used_memory() / 1e6:,.0f} MB of {self._memory / 1e6:,.0f} MB"
                    raise self._failed(TOO_MUCH_MEMORY, words, doing) from None
                continue
            if line is None:
                raise self._ended(doing)
            with suppress(ValueError):
                answer = json.loads(line)
                if isinstance(answer, dict):
                    return answer
            raise self._failed(FAILED, "it wrote something else than answers", doing)

    def _used_memory(self) -> int:
        """Bytes it was seen to hold at most; 0 where that is unknown."""
        memory, seconds = memory_and_seconds(self._process.pid)
        if memory is not None:
            self.peak_memory = max(memory, self.peak_memory or 0)
        self.processor_seconds = max(seconds, self.processor_seconds)
        return self.peak_memory or 0

    def _ended(self, doing: str) -> ChildFailedError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        code = self._process.returncode
        if code is None:
            return self._failed(CRASHED, "it closed its output", doing)
        cause = _cause(code)
        return self._failed(CRASHED, f"it ended {cause}" if code >= 0 else f"it was ended {cause}", doing, cause)

    def _failed(self, status: str, words: str, doing: str, cause: str = "") -> ChildFailedError:
        self.close()
        return ChildFailedError(status, f"{words} while it was {doing}", cause)

    def _stream(self, name: str) -> IO[bytes]:
        stream: IO[bytes] = getattr(self._process, name)
        return stream

    def _read_answers(self) -> None:
        stream = self._stream("stdout")
        with suppress(OSError, ValueError):  # closed while it is read
            while line := stream.readline(_MAX_LINE):
                self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self) -> None:
        stream = self._stream("stderr")
        with suppress(OSError, ValueError):
            while line := stream.readline(2000):
                self._last_lines.append(line.decode("utf-8", "replace").rstrip())


def _cause(code: int) -> str:
    if code >= 0:
        return f"with status {code:#x}" if code > 255 else f"with status {code}"
    with suppress(ValueError):
        return f"by {signal.Signals(-code).name}"
    return f"by signal {-code}"


def psutil_or_none() -> Any:
    """The module; None: it is not installed."""
    try:
        import psutil  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return psutil


def memory_and_seconds(process: int) -> tuple[int | None, float]:
    """Bytes that a process holds now, and the processor seconds it has used; None and 0 where that is unknown."""
    psutil = psutil_or_none()
    if psutil is None:
        pages = read_text(Path(f"/proc/{process}/statm")).split()[1:2]
        return (int(pages[0]) * os.sysconf("SC_PAGE_SIZE") if pages else None), 0.0
    try:
        found = psutil.Process(process)
        memory = found.memory_info()
        used = found.cpu_times()
    except (psutil.Error, OSError):
        return None, 0.0
    # Windows states the most it ever held.
    return getattr(memory, "peak_wset", memory.rss), used.user + used.system


def end_marked(name: str, value: str) -> None:
    """End every process of this user that has the environment variable `name` with this value."""
    psutil = psutil_or_none()
    for _ in range(_PASSES if psutil else 0):
        found = False
        for process in map(int, psutil.pids()):
            with suppress(psutil.Error, OSError, ValueError):
                opened = psutil.Process(process)
                if opened.environ().get(name) == value:
                    opened.kill()
                    found = True
        if not found:
            return
        time.sleep(0.01)
