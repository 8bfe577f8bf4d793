"""What runs in a child process: one function of ours, asked by lines of JSON. The other end is `child.Child`.

The first line it writes is `{"ready": true}`: what happens before has nothing to do with what it is asked. Anything
that is raised is answered as `{"error": {"class": ..., "text": ...}}`.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_ERROR = 2000
"""Characters of an error text that are passed on."""
_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG."""


def main(function: str, life: str, parent: str) -> None:
    """Serve until the input ends.

    Args:
        function: `module:name`, as in `Child`.
        life: Seconds after which this process ends in any case.
        parent: The id of the process that started it.
    """
    faulthandler.enable()
    faulthandler.dump_traceback_later(float(life), exit=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    _end_with(int(parent))
    _forbid_core_dumps()
    requests, answers = _own_streams()
    _write(answers, {"ready": True})
    module, _, name = function.partition(":")
    call = getattr(importlib.import_module(module), name)
    serve = call() if isinstance(call, type) else call
    for line in requests:
        _write(answers, _reply(serve, json.loads(line)))
    os._exit(0)  # some runtimes crash or wait while they are taken down


def _reply(serve: Callable[..., dict[str, Any]], message: dict[str, Any]) -> dict[str, Any]:
    try:
        return serve(**message)
    except Exception as exc:  # noqa: BLE001 - whatever a package or a runtime raises is told to the parent
        return {"error": {"class": type(exc).__name__, "text": str(exc)[:_MAX_ERROR]}}


def _write(answers: BinaryIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


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


def _forbid_core_dumps() -> None:
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - POSIX only

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
