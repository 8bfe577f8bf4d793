"""What a graph needs, tried before it is opened: in a child process, with a deadline and a limit of its memory.

For graphs that nobody vouches for and whose operators may work or allocate without bound, see
`package.onnx_operators`. A trial opens the graph and runs it once, on zeros; a file that passes is remembered and not
tried again. What a later call needs may still depend on its images.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from inference_models import config
from inference_models.backends import find_backend
from inference_models.backends.session import SessionRequest, memory_here
from inference_models.cache.facts import Facts
from inference_models.entities import BackendType
from inference_models.errors import BaseInferenceModelsError, CorruptedModelPackageError
from inference_models.machine.child import FAILED, Child, ChildFailedError, can_start_children
from inference_models.package.onnx_file import file_stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.arrays import TensorSpec

SECONDS = 20.0
BYTES_PER_SECOND = 10_000_000
"""For files that take long to read: they add their size over this to the seconds."""
MEMORY = 2 << 30
"""Bytes besides four times the files, and at most half of what there is."""
_USUAL_SIDE = 64
_NO_MEMORY = ("MemoryError", "bad_alloc", "llocate", "out of memory")
_log = logging.getLogger("inference-models")


class Passed(msgspec.Struct):
    """A file that was opened and run within the limits."""

    file: str


def try_first(runtime: BackendType, wanted: SessionRequest, operators: Sequence[str]) -> None:
    """Returns nothing when the graph of `wanted` opens and runs within the limits, now or in an earlier process.

    What merely fails is left to the load, which says why.

    Raises:
        CorruptedModelPackageError: it does not.
    """
    files = sorted(wanted.files.items())
    stamps = [file_stamp(path.stat()) for _, path in files if path.is_file()]
    key = hashlib.sha256(json.dumps([runtime.value, [str(path) for _, path in files], stamps]).encode()).hexdigest()
    passed = Facts(config.cache_directory() / "trials", Passed, "trial ignored: %s")
    if passed.path_of(key).exists() and passed.read(key) is not None:
        return
    if not can_start_children():
        _log.warning("%s has %s and cannot be tried here.", wanted.directory, ", ".join(operators))
        return
    size = sum(stamp[2] for stamp in stamps)
    seconds = SECONDS + size / BYTES_PER_SECOND
    memory = min(memory_here() // 2, MEMORY + 4 * size)
    try:
        with Child("inference_models.loading.trial:open_and_run", life=seconds + 10, memory=memory) as child:
            answer = child.ask("opened and run", _message(runtime, wanted, memory), deadline=time.monotonic() + seconds)
        failed: str | None = answer["failed"]
        problem = "no memory was left" if failed and any(word in failed for word in _NO_MEMORY) else None
    except ChildFailedError as exc:
        failed = exc.words
        problem = None if exc.status == FAILED else failed
    except OSError as exc:
        _log.warning("%s could not be tried: %s", wanted.directory, exc)
        return
    if problem is not None:
        raise CorruptedModelPackageError(
            f"{next(iter(wanted.files))} is not opened: in a process of its own it did not come to the end of one run.",
            needs=f"a graph that opens and runs once within {seconds:.0f} s and {memory / 1e9:.1f} GB of memory",
            found=f"one with {', '.join(operators)}: {problem}",
            fix="export the model again, with sizes that are constants",
        )
    if failed is not None:
        return
    try:
        passed.write(key, Passed(str(files[0][1])))
    except OSError as exc:
        _log.info("a trial is not remembered: %s", exc)


def _message(runtime: BackendType, wanted: SessionRequest, memory: int) -> dict[str, Any]:
    hint = wanted.input_hint
    return {
        "runtime": runtime.value,
        "directory": str(wanted.directory),
        "files": {handle: str(path) for handle, path in wanted.files.items()},
        "free": {name: list(shape) for name, shape in wanted.free_input_dims.items()},
        "example": hint.example if hint else None,
        "memory": memory,
    }


def open_and_run(
    runtime: str,
    directory: str,
    files: dict[str, str],
    free: dict[str, list[int | None]],
    example: list[int] | None,
    memory: int,
) -> dict[str, Any]:
    """In the child: the graph is opened and run once on zeros; answers with why that failed, or None."""
    import numpy as np  # noqa: PLC0415 - in the child only

    backend = find_backend(BackendType(runtime))
    if backend is None:
        return {"failed": "no such backend"}
    _limit_memory(memory)
    paths = {handle: Path(path) for handle, path in files.items()}
    dims = {name: tuple(shape) for name, shape in free.items()}
    try:
        session = backend.open_session(
            SessionRequest(Path(directory), paths, device="cpu", threads=1, free_input_dims=dims)
        )
        session.run({spec.name: np.zeros(_shape(spec, example), spec.dtype) for spec in session.inputs})
    except (BaseInferenceModelsError, MemoryError, TypeError) as exc:
        return {"failed": f"{type(exc).__name__}: {exc}"}
    return {"failed": None}


def _shape(spec: TensorSpec, example: Sequence[int] | None) -> list[int]:
    """A shape the input takes: one image of the usual size where it is open."""
    usual = [1, *example] if example and len(example) + 1 == len(spec.shape) else [1] + [_USUAL_SIDE] * len(spec.shape)
    return [usual[place] if side is None else side for place, side in enumerate(spec.shape)]


def _limit_memory(more: int) -> None:
    """On Linux: no more than `more` bytes of addresses besides those in use."""
    try:
        import resource  # noqa: PLC0415 - POSIX only

        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        limit = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (ImportError, OSError, ValueError):
        return  # watched from outside, where psutil is installed
