"""Importing a runtime, and the words for when that fails."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from inference_models.errors import EnvironmentConfigurationError, MissingDependencyError
from inference_models.machine.probe_child import SHELL

if TYPE_CHECKING:
    from inference_models.backends.runtime import Runtime


def import_runtime(runtime: Runtime, packages: str) -> Any:
    """The module of a runtime's own library.

    Args:
        runtime: One that has a library.
        packages: The packages it is needed for, for example `ONNX`.

    Raises:
        MissingDependencyError: it is not installed.
        EnvironmentConfigurationError: it is installed and cannot be imported.
    """
    library = runtime.libraries[0]
    module, installed = library.module, runtime.installed_version()
    imported, error = _attempt(module)
    problem = _lacking(imported, library.attribute) if error is None else _words(error)
    if problem is None:
        return imported
    if installed is None:
        hint = "" if _is_absent(module, error) else f", and a module {module!r} that cannot be used: {problem}"
        raise MissingDependencyError(
            f"{packages} packages cannot run here.",
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


def _attempt(module: str) -> tuple[Any, Exception | None]:
    try:
        return importlib.import_module(module), None
    except Exception as exc:  # noqa: BLE001 - it runs whatever this machine has under that name, which may raise anything
        return None, exc


def _lacking(imported: Any, attribute: str | None) -> str | None:
    """What is wrong with a runtime that can still be imported though it is half uninstalled; None: nothing."""
    return None if attribute is None or hasattr(imported, attribute) else SHELL.format(attribute)


def _is_absent(module: str, error: Exception | None) -> bool:
    return isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]


def _words(exc: Exception) -> str:
    """What an import says; errors of other kinds are hard to read without their type."""
    if isinstance(exc, (ImportError, OSError)) or not error_text(exc):
        return first_line(exc)
    return f"{type(exc).__name__}: {first_line(exc)}"


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
