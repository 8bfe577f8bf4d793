"""The record of a runtime: what is known of it without importing it, one per backend.

And the import itself, with the words for when that fails.
"""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from inference_models.errors import (
    BaseInferenceModelsError,
    CorruptedModelPackageError,
    EnvironmentConfigurationError,
    MissingDependencyError,
)
from inference_models.machine.libraries import SHELL, find_library
from inference_models.package.text_files import removed
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from inference_models.entities import BackendType
    from inference_models.machine.libraries import Library

THREADS, EXECUTION_PROVIDERS = "threads", "execution_providers"
"""Settings that a runtime may have, as in `LoadOptions` and `AutoModel.from_pretrained`."""


class Runtime(Record, frozen=True, kw_only=True):
    """The record of one backend."""

    label: str
    """As texts call it, for example `ONNX Runtime`."""
    type: BackendType
    """Its name, and the format of the packages that are made for it."""
    order: int
    """Place among all runtimes that could run a model, the smallest first.

    An engine built for this very GPU leads (10); then what gives the same answers everywhere, the lighter runtime
    before the heavier one (20 to 50); then what is made for one kind of hardware and may round differently, the one on
    more machines first (60 to 80); then code of others; and last what runs nothing. Which of them is fastest here is a
    matter of measuring.
    """
    reads: tuple[BackendType, ...] = ()
    """Other formats it opens as well."""
    libraries: tuple[Library, ...] = ()
    """What it imports, its own library first; empty: nothing that could be missing."""
    requires: str = ""
    """Requirement on the distribution of its own library, for example `onnxruntime>=1.19`."""
    install: str | None = None
    """The command that installs it."""
    devices: tuple[str, ...] | None = None
    """Kinds of device it computes on, the usual one first; None: unknown."""
    systems: tuple[str, ...] = ()
    """How `Environment.system` begins where it exists; empty: it exists everywhere."""
    systems_text: str = ""
    """The same in words."""
    settings: frozenset[str] = frozenset()
    """Those of `THREADS` and `EXECUTION_PROVIDERS` that change its speed, so that measuring them is worth it."""

    @property
    def formats(self) -> tuple[BackendType, ...]:
        """Formats of packages it opens, its own first."""
        return (self.type, *self.reads)

    @property
    def library(self) -> Library | None:
        """Its own library; None where there is none that could be missing."""
        return self.libraries[0] if self.libraries else None

    def installed_version(self) -> Version | None:
        """Version of its own library, read from metadata without importing it; None when it is not installed."""
        distribution = None if self.library is None else find_library(self.library)
        if distribution is None:
            return None
        try:
            return Version(distribution.version)
        except InvalidVersion:
            return None


def first_line(exc: Exception) -> str:
    """The first line of what an error says, at most 300 characters."""
    text = error_text(exc)
    return text.splitlines()[0].strip()[:300] if text else type(exc).__name__


def error_text(exc: Exception) -> str:
    """What an error says; where the binding could not decode the runtime's own words, those words.

    A runtime repeats names from the file it refuses, and a damaged file has names that are no UTF-8.
    """
    words = exc.object.decode("utf-8", "backslashreplace") if isinstance(exc, UnicodeDecodeError) else str(exc)
    return words.strip()


def import_runtime(runtime: Runtime) -> Any:
    """The module of a runtime's own library.

    Args:
        runtime: One that has a library.

    Raises:
        MissingDependencyError: it is not installed.
        EnvironmentConfigurationError: it is installed and cannot be imported.
    """
    library = runtime.libraries[0]
    module = library.module
    error: Exception | None = None
    try:
        imported = importlib.import_module(module)
        if library.attribute is None or hasattr(imported, library.attribute):
            return imported
        problem = SHELL.format(library.attribute)  # what is half uninstalled can still be imported
    except Exception as exc:  # noqa: BLE001 - it runs whatever this machine has under that name
        error, problem = exc, _words(exc)
    installed = runtime.installed_version()
    if installed is None:
        is_absent = isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]
        hint = "" if is_absent else f", and a module {module!r} that cannot be used: {problem}"
        raise MissingDependencyError(
            f"{runtime.label} cannot be used here.",
            needs=runtime.requires,
            found=f"not installed{hint}",
            fix=runtime.install,
        ) from error
    raise EnvironmentConfigurationError(
        f"{module} {installed} is installed and cannot be imported.",
        needs=f"a working {runtime.requires}",
        found=problem,
        fix=(runtime.install or "").replace("install", "install --force-reinstall", 1),
    ) from error


def _words(exc: Exception) -> str:
    """The text of an import error; other exceptions with their type."""
    if isinstance(exc, (ImportError, OSError)) or not error_text(exc):
        return first_line(exc)
    return f"{type(exc).__name__}: {first_line(exc)}"


@contextmanager
def reading(
    runtime: Runtime,
    files: Iterable[Path],
    errors: tuple[type[Exception], ...],
    reason: Callable[[Exception], str] = first_line,
) -> Iterator[None]:
    """While it lasts, what a runtime raises is told of the `files` it reads: one of them is gone, or is no graph.

    Raises:
        CorruptedModelPackageError: names the file that is gone, else the first of them.
    """
    try:
        yield
    except BaseInferenceModelsError:
        raise
    except errors as exc:
        raise unreadable(runtime, list(files), exc, reason) from exc


def unreadable(
    runtime: Runtime, files: Sequence[Path], exc: Exception, reason: Callable[[Exception], str] = first_line
) -> CorruptedModelPackageError:
    """The error for what a runtime raised while it read `files`: one of them is gone, or the first is no graph."""
    gone = next((path for path in files if not path.exists()), None)
    if gone is not None:
        return removed(gone.name)
    return CorruptedModelPackageError(
        f"{files[0].name}: {runtime.label} {runtime.installed_version()} cannot open the graph.",
        needs="a graph this runtime supports",
        found=reason(exc),
        fix=f'export or fetch the file again, or update the runtime: pip install -U "{runtime.requires}"',
    )
