"""Optional packages, imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from inference_models.backends import known_runtimes
from inference_models.errors import MissingDependencyError


def import_or_none(name: str) -> Any:
    """The module, or None where it is not installed or cannot be imported."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def require(name: str, *, needed_for: str) -> Any:
    """The module.

    Raises:
        MissingDependencyError: it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        found = "not installed" if isinstance(exc, ModuleNotFoundError) and exc.name == name else str(exc)
        raise MissingDependencyError(
            f"{needed_for} cannot be used here.", needs=name, found=found, fix=_install(name)
        ) from exc


def _install(name: str) -> str:
    """The command of the runtime that brings a library, or that of its own name."""
    own = (item.install for item in known_runtimes().values() if item.library is not None and item.library.name == name)
    return next(filter(None, own), f"pip install {name}")
