"""Optional packages, imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from inference_models.errors import MissingDependencyError

INSTALL = {
    "onnxruntime": 'pip install "inference-models[onnx-cpu]"',
    "pycuda": "pip install pycuda",
    "tensorrt": "pip install tensorrt",
    "torch": 'pip install "inference-models[torch]"',
}


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
            f"{needed_for} cannot be used here.", needs=name, found=found, fix=INSTALL[name]
        ) from exc
