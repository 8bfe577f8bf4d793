"""Importing a runtime, and the words for when that fails."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from inference_models.errors import EnvironmentConfigurationError, MissingDependencyError

if TYPE_CHECKING:
    from packaging.version import Version


def import_runtime(module: str, packages: str, *, installed: Version | None, requires: str, install: str) -> Any:
    """The module of that name.

    Args:
        module: What is imported.
        packages: The packages it is needed for, for example `ONNX`.
        installed: Version of the distribution, by its metadata.
        requires: Requirement on the distribution.
        install: The command that installs it.

    Raises:
        MissingDependencyError: it is not installed.
        EnvironmentConfigurationError: it is installed and cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as exc:
        if installed is None:
            raise MissingDependencyError(
                f"{packages} packages cannot run here.", needs=requires, found="not installed", fix=install
            ) from exc
        raise EnvironmentConfigurationError(
            f"{module} {installed} is installed and cannot be imported.",
            needs=f"a working {requires}",
            found=first_line(exc),
            fix=install.replace("install", "install --force-reinstall", 1),
        ) from exc


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
