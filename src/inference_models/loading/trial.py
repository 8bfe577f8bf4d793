"""A graph that nobody vouches for is tried before it is opened: in a child process, which opens it and runs it once.

What a graph costs shows in a run and nowhere else: shapes that broadcast, loops, local functions and weights that are
used again and again ask for hours or terabytes in a few bytes. The child has a limit of processor time and of memory.
One that came to the end of its run waits some seconds for the next graph: its start is most of what a trial takes.
A file that passes is remembered by its place and by its content, and not tried again; what merely fails there is left
to the load, which says why. The image of the trial is blank and of the size the model works on: what a later call needs
may still depend on its images.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference_models import config
from inference_models.backends import find_backend
from inference_models.backends.runtime import import_runtime
from inference_models.backends.session import SessionRequest, memory_here
from inference_models.entities import BackendType
from inference_models.errors import BaseInferenceModelsError, CorruptedModelPackageError
from inference_models.files.digest import file_sha256
from inference_models.files.durable import write_hint
from inference_models.fork import keep_for_ever
from inference_models.machine.verdicts import ensure_importable
from inference_models.package.onnx_file import OnnxFile, file_stamp
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.arrays import TensorSpec
    from inference_models.machine.child import Child
    from inference_models.package.graph_facts import GraphFacts

BYTES_PER_SECOND = 10_000_000
"""For files that take long to read: they add their size over this to the seconds."""
MEMORY = 3 << 30
"""Bytes besides four times the files, and at most half of what there is."""
_PATIENCE = 4
"""Times the seconds of the processor that an answer is waited for: others may want it too."""
_IDLE_S, _LIFE_S = 5, 300
"""Seconds that a child waits for a further graph, and that it lives at most besides one trial."""
_IMAGE_SIDE, _SIDE = 640, 64
"""Of the open sides of images (four axes), and of other inputs, where the package names no size."""
_NO_MEMORY = ("MemoryError", "bad_alloc", "llocat", "out of memory", "fit into the memory")


class _Limits(Record, frozen=True):
    """Of one trial."""

    seconds: int
    """Of one processor, however long others have it meanwhile."""
    memory: int

    def __str__(self) -> str:
        return f"{self.seconds} s of one processor and {self.memory / 1e9:.1f} GB of memory"


def try_first(runtime: BackendType, wanted: SessionRequest, graph: GraphFacts) -> None:
    """Returns nothing when `graph`, that of `wanted`, opens and runs within the limits, now or in an earlier process.

    Raises:
        CorruptedModelPackageError: it does not; or no process can be started here, and nothing in its file bounds
            what it costs.
    """
    seconds = config.trial_seconds()
    if not seconds:
        return
    files = sorted({*wanted.files.values(), *(graph.files[1:] if isinstance(graph, OnnxFile) else ())})
    stamps = [file_stamp(path.stat()) for path in files if path.is_file()]
    passed = _remembered(runtime, wanted, list(map(str, files)), stamps)
    if passed.exists():
        return
    same = _remembered(runtime, wanted, sorted(wanted.files), [file_sha256(path) for path in files if path.is_file()])
    note = str(files[0]).encode("utf-8", "surrogateescape")
    if same.exists():
        write_hint(passed, note)
        return
    size = sum(stamp[2] for stamp in stamps)
    limits = _Limits(seconds + size // BYTES_PER_SECOND, min(memory_here() // 2, MEMORY + 4 * size))
    try:
        is_passed = _comes_to_its_end(runtime, wanted, limits)
    except OSError as exc:
        if graph.unbounded:
            raise _refused(files[0], limits, f"no process to try it in: {exc}", graph) from exc
        return  # sizes that the file states bound it, as far as one can see
    except _LimitError as exc:
        raise _refused(files[0], limits, str(exc), graph) from exc
    if is_passed:
        write_hint(same, note)
        write_hint(passed, note)


def _remembered(runtime: BackendType, wanted: SessionRequest, files: list[str], facts: Sequence[object]) -> Path:
    """Where it is written that files passed in a runtime at these sizes: by their places and stamps, and by content."""
    sizes = [dict(wanted.free_input_dims), wanted.input_hint.example if wanted.input_hint else None]
    key = hashlib.sha256(json.dumps([runtime.value, files, facts, sizes]).encode()).hexdigest()
    return config.cache_directory() / "trials" / key


class _LimitError(Exception):
    """It passed a limit; says which."""


def _refused(path: Path, limits: _Limits, found: str, graph: GraphFacts) -> CorruptedModelPackageError:
    return CorruptedModelPackageError(
        f"{path.name} is not opened: in a process of its own it did not come to the end of one run.",
        needs=f"a graph that opens and runs once within {limits}",
        found=f"{found} ({', '.join(graph.unbounded)})" if graph.unbounded else found,
        fix=f"if you trust it, set {config.TRIAL_SECONDS} to more seconds, or to 0 to open it untried",
    )


def _comes_to_its_end(runtime: BackendType, wanted: SessionRequest, limits: _Limits) -> bool:
    """Whether it does; False: it fails, and not because of the limits.

    Raises:
        OSError: no process can be started.
        _LimitError: it passes a limit, or ends the process.
    """
    from inference_models.machine import child  # noqa: PLC0415 - most graphs have passed before

    if not child.can_start_children():
        raise OSError("this program cannot start one")
    patience = limits.seconds * _PATIENCE
    waited = None
    with suppress(IndexError):
        waited = _waiting.pop()
    if waited and not waited.goes_on(patience, limits.memory):
        waited.close()
        waited = None
    it = waited or child.Child(
        "inference_models.loading.trial:open_and_run", life=patience + _LIFE_S, memory=limits.memory
    )
    try:
        deadline = time.monotonic() + patience
        message = {
            "runtime": runtime.value,
            "directory": str(wanted.directory),
            "files": {handle: str(path) for handle, path in wanted.files.items()},
            "free": {name: list(shape) for name, shape in wanted.free_input_dims.items()},
            "example": wanted.input_hint.example if wanted.input_hint else None,
            "limits": [limits.seconds, limits.memory],
        }
        answer = it.ask("opened and run", message, deadline=deadline, meanwhile=lambda: _import(runtime))
    except child.ChildFailedError as exc:
        it.close()
        if exc.status == child.FAILED:
            return False
        is_slow = exc.cause.endswith("SIGXCPU")
        if waited and exc.status == child.CRASHED and not is_slow:  # it had waited too long, or its thread ended
            return _comes_to_its_end(runtime, wanted, limits)
        raise _LimitError("more than these seconds" if is_slow else exc.words) from exc
    except BaseException:
        it.close()
        raise
    failed = answer["failed"]
    if failed or _waiting:
        it.close()
    else:
        _waiting.append(it)
    if failed and any(word in failed for word in _NO_MEMORY):
        raise _LimitError("no memory was left")
    return not failed


def _import(runtime: BackendType) -> None:
    """The child imports the runtime too; this process needs it next."""
    backend = find_backend(runtime)
    if backend is not None:
        with suppress(BaseInferenceModelsError):  # which the load tells of
            for library in backend.RUNTIME.libraries:
                ensure_importable(library)
            import_runtime(backend.RUNTIME)


_waiting: list[Child] = []
"""The child that waits for a further graph, if there is one."""


def end_waiting() -> None:
    """End the child that waits for a further graph."""
    with suppress(IndexError):
        _waiting.pop().close()


def _forget_waiting() -> None:
    """In a forked process: the child is that of the process it was forked from."""
    while _waiting:
        keep_for_ever(_waiting.pop())


atexit.register(end_waiting)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_waiting)


def open_and_run(
    runtime: str,
    directory: str,
    files: dict[str, str],
    free: dict[str, list[int | None]],
    example: list[int] | None,
    limits: list[int],
) -> dict[str, Any]:
    """In the child: the graph is opened and run once on zeros; answers with why that failed, or None."""
    import numpy as np  # noqa: PLC0415 - in the child only

    _end_idle(0)
    backend = find_backend(BackendType(runtime))
    if backend is None:
        return {"failed": "no such backend"}
    _limit(_Limits(*limits))
    paths = {handle: Path(path) for handle, path in files.items()}
    dims = {name: tuple(shape) for name, shape in free.items()}
    try:
        session = backend.open_session(
            SessionRequest(Path(directory), paths, device="cpu", threads=1, free_input_dims=dims)
        )
        session.run({spec.name: np.zeros(_shape(spec, example), spec.dtype) for spec in session.inputs})
        session.close()
    except (BaseInferenceModelsError, MemoryError, TypeError) as exc:
        return {"failed": f"{type(exc).__name__}: {exc}"}
    _end_idle(_IDLE_S)
    return {"failed": None}


def _end_idle(seconds: int) -> None:
    """On POSIX: end this process after these seconds; 0: do not."""
    import signal  # noqa: PLC0415 - in the child only

    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)


def _shape(spec: TensorSpec, example: Sequence[int] | None) -> list[int]:
    """A shape the input takes: one image of the usual size where it is open."""
    side = _IMAGE_SIDE if len(spec.shape) == 4 else _SIDE
    usual = [1, *example] if example and len(example) + 1 == len(spec.shape) else [1] + [side] * len(spec.shape)
    return [usual[place] if side is None else side for place, side in enumerate(spec.shape)]


def _limit(limits: _Limits) -> None:
    """On POSIX: no more seconds of the processor and no more bytes than that, besides what was used so far."""
    try:
        import resource  # noqa: PLC0415 - POSIX only
    except ImportError:
        return  # the deadline holds everywhere, and memory is watched from outside, where psutil is installed
    import signal  # noqa: PLC0415 - as above

    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    # Not addresses, of which runtimes with many threads reserve more than they use.
    used = int(Path("/proc/self/statm").read_text("ascii").split()[5]) * resource.getpagesize()
    seconds = int(time.process_time()) + 1 + limits.seconds
    for kind, wanted in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_DATA, used + limits.memory)):
        most = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))
