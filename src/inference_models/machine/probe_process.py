"""Asking a child process what could hurt this one: with a deadline, and without anything secret in its environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference_models.machine import probe_child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DECIDING = (
    "CUDA_DEVICE_ORDER",
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDA_VISIBLE_DEVICES",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "GLIBC_TUNABLES",
    "INTEL_OPENVINO_DIR",
    "KMP_DUPLICATE_LIB_OK",
    "LD_BIND_NOW",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_VISIBLE_DEVICES",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    *(("PATH",) if sys.platform == "win32" else ()),
)
"""Variables that decide which files are loaded, which devices are seen, and whether an import survives."""
_HARMLESS = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "PATH",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "TMPDIR",
    "USERPROFILE",
    "WINDIR",
)
_TUNABLES = ("BLIS_", "GOMP_", "KMP_", "MKL_", "OMP_", "OPENBLAS_")
"""How the variables of libraries for arithmetic begin: they hold numbers and switches, and no keys."""
_QUIET = {"ORT_DISABLE_TELEMETRY": "1"}
_GRACE_S = 1.0
"""A process that hangs inside the kernel does not end when it is killed; so long is waited for those that do."""


@dataclass(frozen=True)
class Answer:
    """What a child said, or what became of it."""

    facts: Mapping[str, Any]
    problem: str | None = None
    """Why what was asked about cannot be used; None: it can."""


def ask_child(module: str, path: Sequence[str], deadline: float, *, attribute: str | None = None) -> Answer | None:
    """What a child process found out; None when no child could be asked, which says nothing about the module.

    Args:
        module: What it imports, or `probe_child.CUDA`.
        path: Where it imports from.
        deadline: Seconds after which it is killed, with everything it started.
        attribute: What the module must have.
    """
    child = _start()
    if child is None:
        return None
    question = {"module": module, "path": list(path), "attribute": attribute}
    request = json.dumps(question).encode("utf-8", "surrogatepass")
    doing = "asking the driver" if module == probe_child.CUDA else "importing it"
    try:
        output, _ = child.communicate(request, timeout=deadline)
    except subprocess.TimeoutExpired:
        return _judge(_kill(child), f"{doing} did not end within {deadline:g} s")
    except OSError:
        _kill(child)
        return None
    except BaseException:
        _kill(child)
        raise
    return _judge(output, f"{doing} ended the process {_cause(child.returncode)}")


def minimal_environment() -> dict[str, str]:
    """The variables a child gets: nothing that could be a key."""
    known = {*DECIDING, *_HARMLESS}
    passed = {name: value for name, value in os.environ.items() if name in known or name.startswith(_TUNABLES)}
    return {**passed, **_QUIET}


def _start() -> subprocess.Popen[bytes] | None:
    script = Path(probe_child.__file__)
    if not sys.executable or getattr(sys, "frozen", False) or not script.is_file():
        return None  # an embedded interpreter: the executable is another program
    try:
        return subprocess.Popen(  # noqa: S603 - our own script in our own interpreter
            [sys.executable, "-I", "-B", "-X", "utf8", os.fspath(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=minimal_environment(),
            start_new_session=True,
        )
    except OSError:
        return None


def _kill(child: subprocess.Popen[bytes]) -> bytes:
    """End a child with everything it started; what it had written."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    try:
        return child.communicate(timeout=_GRACE_S)[0]
    except subprocess.TimeoutExpired as exc:
        return exc.output or b""
    except OSError:
        return b""


def _judge(output: bytes, without_answer: str) -> Answer | None:
    """The answer in `output`; before `ready` nothing was imported, so that what happened has other reasons."""
    lines = output.decode("utf-8", "replace").splitlines()
    if not lines or lines[0] != probe_child.READY:
        return None
    if len(lines) < 2:
        return Answer({}, without_answer)
    try:
        said = json.loads(lines[1])
    except ValueError:
        return Answer({}, without_answer)
    return Answer(said.get("facts", {}), said.get("problem"))


def _cause(status: int) -> str:
    if status >= 0:
        return f"with status {status}"
    with suppress(ValueError):
        return f"by {signal.Signals(-status).name}"
    return f"by signal {-status}"
