"""Whether a library can be imported here: found out once per installed version in a child process, then remembered.

What was tried is the file that the import finds, which is not always that of the installed distribution.

A verdict is a hint in the cache folder. One that is missing, damaged or about something else costs a child process
and nothing more; where no child can be started, nobody stands in the way of the import.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from inference_models import config
from inference_models.errors import EnvironmentConfigurationError
from inference_models.files.durable import write_hint
from inference_models.machine.child import CRASHED, DECIDING, HUNG, Child, ChildFailedError, Limits, can_start_children
from inference_models.machine.cpu import cpu_flags
from inference_models.machine.libraries import find_library, hiding, import_path, module_stamp
from inference_models.machine.mends import imported_from, mend_of
from inference_models.machine.nvidia import card_stamp
from inference_models.machine.probe_child import CUDA

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from inference_models.machine.libraries import Distribution, Library

FORMAT = 2
FOLDER = "probes"
FAILURE_LIFETIME_S = 3600
"""Seconds after which what failed is tried again: somebody may have mended it."""
DRIVER_DEADLINE_S = 20.0
_SPARE_S = 10.0
"""After its deadline a child that this process could not end goes by itself."""
_LARGEST = 1 << 16
_BUILT_AGAINST = "numpy"
"""Imported by most of them, and another release of it can make their import fail, or work again."""


@dataclass(frozen=True)
class Verdict:
    """What importing a library led to."""

    problem: str | None
    """None: it works."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    when: float = 0.0
    """Seconds since the epoch."""

    def holds(self) -> bool:
        """Whether it needs no other try."""
        return self.problem is None or 0 <= time.time() - self.when < FAILURE_LIFETIME_S


class _Known:
    """What this process has learned."""

    def __init__(self) -> None:
        self.verdicts: dict[str, Verdict] = {}
        """By key."""
        self.generation = 0
        self.asking: dict[str, threading.Lock] = {}


_known = _Known()


def generation() -> int:
    """Changes whenever a child process found something out."""
    return _known.generation


def forget() -> None:
    """Make this process forget every verdict; those in the cache folder stay."""
    _known.verdicts.clear()
    _known.generation += 1


def ensure_importable(library: Library, *, path: Sequence[str] | None = None) -> None:
    """Returns when importing the library does not hurt this process, or when nobody can say.

    Asks a child process the first time; costs nothing once the library is imported or its verdict is known.

    Args:
        library: Let through where importing it is harmless, or where it is not installed.
        path: Folders it is imported from; None: those of this process.

    Raises:
        EnvironmentConfigurationError: importing it fails, hangs, or ends the process.
    """
    if library.deadline is None or (path is None and is_imported(library)):
        return
    distribution = find_library(library, path)
    if distribution is None:
        return
    verdict = verdict_of(library, distribution, run=True, path=path)
    if verdict is None or verdict.problem is None:
        return
    raise EnvironmentConfigurationError(
        f"{distribution.label} is installed and cannot be used here.",
        needs=f"a build of {distribution.name} that this machine can import",
        found=verdict.problem,
        fix=mend_of(distribution.label, verdict.problem),
    )


def is_imported(library: Library) -> bool:
    """Whether this process has imported it to the end."""
    module = sys.modules.get(library.module)
    specification = getattr(module, "__spec__", None)
    return module is not None and not getattr(specification, "_initializing", False)


def verdicts(
    libraries: Mapping[Library, Distribution], *, thorough: bool, path: Sequence[str] | None = None
) -> dict[str, Verdict]:
    """What is known of each of the libraries; with `thorough` child processes find out what is not."""
    own = path is None or tuple(path) == import_path()
    risky = [library for library in libraries if library.deadline is not None]
    asked = [library for library in risky if not (own and is_imported(library))]

    def look(library: Library) -> Verdict | None:
        return verdict_of(library, libraries[library], run=thorough, retry=thorough, path=path)

    found = _together(look, asked) if thorough else map(look, asked)
    return {library.name: verdict for library, verdict in zip(asked, found, strict=True) if verdict is not None}


def verdict_of(
    library: Library, distribution: Distribution, *, run: bool, retry: bool = False, path: Sequence[str] | None = None
) -> Verdict | None:
    """What is known of an installed library; None: nothing.

    Args:
        library: One whose import may end the process or hang.
        distribution: What provides it.
        run: Find out what is not known.
        retry: Find out again what did not work.
        path: Folders it is imported from; None: those of this process.
    """
    path = import_path() if path is None else path
    found = [module_stamp(module, path) for module in (library.module, _BUILT_AGAINST)]
    subject = [library.name, *distribution.stamp(), *found, library.attribute]
    question = _Question(library.name, subject, library.module, library.deadline or 0.0, library.attribute)
    verdict = _settle(question, path, run=run, retry=retry)
    if verdict is None or verdict.problem is None:
        return verdict
    other = hiding(library.module, path, str(distribution.location))
    return verdict if other is None else replace(verdict, problem=imported_from(verdict.problem, other))


def ask_about_driver(*, retry: bool = False) -> Verdict | None:
    """What the NVIDIA driver says of its devices; None when no child process can be started."""
    return _settle(_Question(CUDA, [CUDA, *card_stamp()], CUDA, DRIVER_DEADLINE_S), (), run=True, retry=retry)


@dataclass(frozen=True)
class _Question:
    name: str
    subject: list[Any]
    """Everything besides the machine that the answer depends on."""
    module: str
    deadline: float
    attribute: str | None = None

    def key(self) -> str:
        return _digest([FORMAT, self.subject, _machine(_deciding())])


def _settle(question: _Question, path: Sequence[str], *, run: bool, retry: bool) -> Verdict | None:
    key = question.key()
    seen = _valid(question.name, key, retry=retry)
    if seen is not None or not run:
        return seen
    asking = _known.asking.setdefault(key, threading.Lock())
    # A process that was forked while another thread asked has a lock that nobody releases: it asks by itself.
    held = asking.acquire(timeout=question.deadline + 5)
    try:
        return (None if retry else _valid(question.name, key, retry=False)) or _ask(question, key, path)
    finally:
        if held:
            asking.release()


def _valid(name: str, key: str, *, retry: bool) -> Verdict | None:
    verdict = _known.verdicts.get(key) or _recall(name, key)
    if verdict is None or not (verdict.problem is None if retry else verdict.holds()):
        return None
    return verdict


def ask_child(module: str, path: Sequence[str], deadline: float, *, attribute: str | None = None) -> Verdict | None:
    """What a child process found out; None when no child could be asked, which says nothing about the module.

    Args:
        module: What it imports, or `probe_child.CUDA`.
        path: Where it imports from.
        deadline: Seconds after which it is killed, with everything it started.
        attribute: What the module must have.
    """
    if not can_start_children():
        return None
    doing = "asking the driver" if module == CUDA else "importing it"
    question = {"module": module, "path": list(path), "attribute": attribute}
    try:
        child = Child("inference_models.machine.probe_child:answer", Limits(life=deadline + _SPARE_S))
    except OSError:
        return None
    with child:
        try:
            said = child.ask(doing, question, deadline=time.monotonic() + deadline)
        except ChildFailedError as exc:
            words = {
                CRASHED: f"{doing} ended the process {exc.cause}",
                HUNG: f"{doing} did not end within {deadline:g} s",
            }
            said = {"problem": words.get(exc.status, exc.words)}
    return Verdict(said.get("problem"), said.get("facts", {}), time.time()) if child.started else None


def _ask(question: _Question, key: str, path: Sequence[str]) -> Verdict | None:
    verdict = ask_child(question.module, path, question.deadline, attribute=question.attribute)
    if verdict is None:
        return None
    _known.verdicts[key] = verdict
    _known.generation += 1
    _remember(question.name, key, verdict)
    return verdict


def _file(name: str, key: str) -> Path:
    return config.cache_directory() / FOLDER / f"{name}-{key[:24]}.json"


def _recall(name: str, key: str) -> Verdict | None:
    try:
        path = _file(name, key)
        if path.stat().st_size > _LARGEST:
            return None
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    verdict = _parsed(kept, key)
    if verdict is not None:
        _known.verdicts[key] = verdict
    return verdict


def _parsed(kept: object, key: str) -> Verdict | None:
    if not isinstance(kept, dict) or kept.get("key") != key:
        return None
    problem, facts, when = kept.get("problem"), kept.get("facts"), kept.get("when")
    if not isinstance(problem, str | None) or not isinstance(facts, dict) or not isinstance(when, float):
        return None
    return Verdict(problem, facts, when)


def _remember(name: str, key: str, verdict: Verdict) -> None:
    kept = {"key": key, "problem": verdict.problem, "facts": verdict.facts, "when": verdict.when}
    write_hint(_file(name, key), json.dumps(kept, indent=1).encode())


def _deciding() -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in DECIDING)


@lru_cache(maxsize=8)
def _machine(deciding: tuple[str | None, ...]) -> str:
    """Digest of this Python, this processor, and the variables that decide what is loaded."""
    interpreter = [sys.implementation.cache_tag, sys.executable, sys.platform, platform.machine()]
    return _digest([interpreter, sorted(cpu_flags()), deciding])


def _digest(facts: Sequence[Any]) -> str:
    return sha256(json.dumps(facts).encode("utf-8", "surrogatepass")).hexdigest()


def _together(look: Any, names: Sequence[Library]) -> Iterable[Verdict | None]:
    if not names:
        return []
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - needed once per installed version

    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        return list(pool.map(look, names))
