"""Which provider a model id belongs to. Never a guess: what could be two things is an error that names both."""

from __future__ import annotations

import os
import re
from pathlib import Path

from inference_models.catalogue import open_catalogue
from inference_models.errors import InvalidParameterError, ModelNotFoundError
from inference_models.naming import nearest_hint
from inference_models.providers import known_providers

LOCAL = "local"
OPEN_CATALOGUE = "wheel"
_PATH_START = re.compile(r"^(?:[./~]|[\\/]|[A-Za-z]:[\\/])")
_FILE_SUFFIXES = frozenset({".engine", ".onnx", ".pt", ".pth", ".safetensors", ".tflite", ".torchscript"})


def locate_model(model: str | os.PathLike[str], provider: str | None = None) -> tuple[str, str]:
    r"""(provider, model id) for what the caller wrote.

    A `PathLike`, `./x`, `/x`, `~/x`, `x/`, `C:\x`, `local:x` and names of weight files are paths; `provider:id` names
    its provider; everything else is an id of the open catalogue.

    Raises:
        InvalidParameterError: the id is empty, or means both a catalogue model and a folder.
        ModelNotFoundError: neither; the text names the nearest ids.
    """
    if isinstance(model, os.PathLike):
        return LOCAL, os.fspath(model)
    if not isinstance(model, str):
        raise InvalidParameterError(f"{model!r} is no model id.", needs="a model id or a path", found=repr(model))
    if not model.strip() or "\0" in model:
        raise InvalidParameterError(f"{model!r} is no model id.", needs="a model id or a path", found=repr(model))
    if provider is not None:
        return provider, model.removeprefix(f"{provider}:")
    prefix, separator, rest = model.partition(":")
    if separator and len(prefix) > 1 and prefix in known_providers():
        return prefix, rest
    if _looks_like_path(model):
        return LOCAL, model
    return _catalogue_id(model)


def _looks_like_path(text: str) -> bool:
    return bool(_PATH_START.match(text)) or text.endswith(("/", "\\")) or Path(text).suffix.lower() in _FILE_SUFFIXES


def _catalogue_id(text: str) -> tuple[str, str]:
    ids = open_catalogue().models
    known = text in ids
    exists = Path(text).exists()
    if known and exists:
        raise InvalidParameterError(
            f"{text!r} is a model of the open catalogue and also a path here; "
            f"write '{OPEN_CATALOGUE}:{text}' or '{LOCAL}:{text}'."
        )
    if known:
        return OPEN_CATALOGUE, text
    if exists:
        raise InvalidParameterError(f"{text!r} is no model id but a path here; write '{LOCAL}:{text}'.")
    raise ModelNotFoundError(
        f"no model {text!r} in the open catalogue; {nearest_hint(text, ids)}.",
        fix=f"inference-models list shows them all; for a file or folder write '{LOCAL}:{text}'",
    )
