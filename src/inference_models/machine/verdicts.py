"""Whether a library can be imported here: found out once per installed version in a child process, then remembered.

What was tried is the file that the import finds, which is not always that of the installed distribution.

A verdict is a hint in the cache folder. One that is missing, damaged or about something else costs a child process
and nothing more; where no child can be started, the import is let through.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import field

from inference_models import config
from inference_models.errors import EnvironmentConfigurationError
from inference_models.files.durable import write_hint
from inference_models.files.regular import read_regular_file
from inference_models.fork import Lock
from inference_models.machine import mends
from inference_models.machine.hardware import cpu_flags
from inference_models.machine.libraries import CUDA, DECIDING, hiding, import_path, installed_libraries, module_stamp
from inference_models.record import Record, replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from inference_models.machine.libraries import Distribution, Library

FORMAT = 3
FOLDER = "probes"
FAILURE_LIFETIME_S = 3600
"""Seconds after which what failed is tried again: it may have been mended."""
DRIVER_DEADLINE_S = 20.0
_SPARE_S = 10.0
"""After its deadline a child that this process could not end goes by itself."""
_LARGEST = 1 << 16
_BUILT_AGAINST = "numpy"
"""Imported by most of them, and another release of it can make their import fail, or work again."""


class Verdict(Record, frozen=True):
    """The result of importing a library in a child process."""

    problem: str | None
    """None: it works."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    when: float = 0.0
    """Seconds since the epoch."""

    def holds(self) -> bool:
        """Whether the verdict is still valid: a success, or a recent failure."""
        return self.problem is None or 0 <= time.time() - self.when < FAILURE_LIFETIME_S


class Learned:
    """Verdicts that this process knows, by key."""

    verdicts: ClassVar[dict[str, Verdict]] = {}
    """By key."""
    generation = 0
    """Changes whenever a child process found something out."""
    asking: ClassVar[dict[str, Lock]] = {}


def forget() -> None:
    """Drop the verdicts this process knows; those in the cache folder stay."""
    Learned.verdicts.clear()
    Learned.generation += 1


def ensure_importable(library: Library, *, path: Sequence[str] | None = None) -> None:
    """Returns when importing the library does not hurt this process, or when that cannot be found out.

    Asks a child process the first time; costs nothing once the library is imported or its verdict is known.

    Args:
        library: Let through where importing it is harmless, or where it is not installed.
        path: Folders it is imported from; None: those of this process.

    Raises:
        EnvironmentConfigurationError: importing it fails, hangs, or ends the process.
    """
    if library.deadline is None or (path is None and is_imported(library)):
        return
    distribution = installed_libraries((library,), path).get(library)
    if distribution is None:
        return
    verdict = verdict_of(library, distribution, run=True, path=path)
    if verdict is None or verdict.problem is None:
        return
    raise EnvironmentConfigurationError(
        f"{distribution.label} is installed and cannot be used here.",
        needs=f"a build of {distribution.name} that this machine can import",
        found=verdict.problem,
        fix=mends.mend_of(distribution.label, verdict.problem),
    )


def is_imported(library: Library) -> bool:
    """Whether this process has imported it to the end."""
    module = sys.modules.get(library.module)
    specification = getattr(module, "__spec__", None)
    return module is not None and not getattr(specification, "_initializing", False)


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
    question = _Question(library.name, subject, library.module, library.deadline or 0.0, library.attribute, path)
    verdict = _settle(question, run=run, retry=retry)
    if verdict is None or verdict.problem is None:
        return verdict
    other = hiding(library.module, path, str(distribution.location))
    return verdict if other is None else replace(verdict, problem=mends.imported_from(verdict.problem, other))


def ask_about_driver(*, retry: bool = False) -> Verdict | None:
    """What the NVIDIA driver says of its devices; None when no child process can be started."""
    from inference_models.machine.nvidia import card_stamp  # noqa: PLC0415 - only needed where there is a device

    return _settle(_Question(CUDA, [CUDA, *card_stamp()], CUDA, DRIVER_DEADLINE_S), run=True, retry=retry)


class _Question(Record, frozen=True):
    name: str
    subject: list[Any]
    """Everything besides the machine that the answer depends on."""
    module: str
    deadline: float
    attribute: str | None = None
    path: Sequence[str] = ()


def _settle(question: _Question, *, run: bool, retry: bool) -> Verdict | None:
    """The verdict that is remembered and holds, else the answer of a child process where one may be started."""
    facts = [FORMAT, question.subject, *_machine(), [os.environ.get(name) for name in DECIDING]]
    key = sha256(json.dumps(facts).encode("utf-8", "surrogatepass")).hexdigest()
    path = config.cache_directory() / FOLDER / f"{question.name}-{key[:24]}.json"
    known = _recall(path, key)
    if known is not None and (known.problem is None or (known.holds() and not retry)):
        return known
    if not run:
        return None
    asking = Learned.asking.setdefault(key, Lock())
    held = asking.acquire(timeout=question.deadline + 5)
    try:
        known = None if retry else _recall(path, key)
        if known is not None and known.holds():
            return known
        verdict = ask_child(question.module, question.path, question.deadline, attribute=question.attribute)
        if verdict is not None:
            Learned.verdicts[key] = verdict
            Learned.generation += 1
            kept = {"key": key, "problem": verdict.problem, "facts": verdict.facts, "when": verdict.when}
            write_hint(path, json.dumps(kept, indent=1).encode())
        return verdict
    finally:
        if held:
            asking.release()


def _recall(path: Path, key: str) -> Verdict | None:
    """The verdict of this process or an earlier one; None when there is none, or when it is unreadable."""
    if key in Learned.verdicts:
        return Learned.verdicts[key]
    try:
        kept = json.loads(read_regular_file(path, _LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(kept, dict) or kept.get("key") != key:
        return None
    problem, facts, when = kept.get("problem"), kept.get("facts"), kept.get("when")
    if not isinstance(problem, str | None) or not isinstance(facts, dict) or not isinstance(when, float):
        return None
    return Learned.verdicts.setdefault(key, Verdict(problem, facts, when))


def ask_child(module: str, path: Sequence[str], deadline: float, *, attribute: str | None = None) -> Verdict | None:
    """What a child process found out; None when no child could be asked, which says nothing about the module.

    Args:
        module: What it imports, or `CUDA`.
        path: Where it imports from.
        deadline: Seconds after which it is killed, with everything it started.
        attribute: What the module must have.
    """
    from inference_models.machine import child  # noqa: PLC0415 - needed once per installed version

    if not child.can_start_children():
        return None
    doing = "asking the driver" if module == CUDA else "importing it"
    message = {"module": module, "path": list(path), "attribute": attribute}
    try:
        asked = child.Child("inference_models.machine.probe_child:answer", life=deadline + _SPARE_S)
    except OSError:
        return None
    with asked:
        try:
            said = asked.ask(doing, message, deadline=time.monotonic() + deadline)
        except child.ChildFailedError as exc:
            words = {
                child.CRASHED: f"{doing} ended the process {exc.cause}",
                child.HUNG: f"{doing} did not end within {deadline:g} s",
            }
            said = {"problem": words.get(exc.status, exc.words)}
    return Verdict(said.get("problem"), said.get("facts", {}), time.time()) if asked.started else None


@cache
def _machine() -> tuple[list[Any], list[str]]:
    """This Python, and this processor."""
    return [sys.implementation.cache_tag, sys.executable, sys.platform, platform.machine()], sorted(cpu_flags())
