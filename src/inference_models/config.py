"""Defaults and environment variables: every one is stated here and read when it is used, never at import."""

from __future__ import annotations

import os
from pathlib import Path

from inference_models.errors import InvalidEnvVariable

DEFAULT_CONFIDENCE = 0.4
DEFAULT_IOU_THRESHOLD = 0.3
DEFAULT_MAX_DETECTIONS = 300
PRE_NMS_TOP_K = 30_000
"""Candidates that enter non-maximum suppression at most, best scores first; bounds its time on hostile input."""
MAX_BATCH = 8
"""Images that `infer` keeps in memory at once when the graph sets no limit itself."""

_TRUE = frozenset({"true", "1", "t", "yes", "y", "on"})
_FALSE = frozenset({"false", "0", "f", "no", "n", "off"})


def cache_directory() -> Path:
    """Where packages are kept: `INFERENCE_HOME`, else `MODEL_CACHE_DIR`, else the user's cache folder."""
    for name in ("INFERENCE_HOME", "MODEL_CACHE_DIR"):
        value = os.environ.get(name, "").strip()
        if value:
            return Path(value).expanduser().absolute()
    import platformdirs  # noqa: PLC0415 - only needed when no variable is set

    return Path(platformdirs.user_cache_dir("inference-models", appauthor=False))


def offline_mode() -> bool:
    """Whether `OFFLINE_MODE` forbids the network."""
    return read_bool("OFFLINE_MODE", default=False)


def default_device() -> str | None:
    """`DEFAULT_DEVICE`, or None: the best device the chosen backend has."""
    return os.environ.get("DEFAULT_DEVICE", "").strip() or None


def requested_execution_providers() -> tuple[str, ...] | None:
    """`ONNXRUNTIME_EXECUTION_PROVIDERS`, in the order given, or None when it is not set."""
    text = os.environ.get("ONNXRUNTIME_EXECUTION_PROVIDERS", "").strip().strip("[]")
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    return names or None


def read_bool(name: str, *, default: bool) -> bool:
    """The boolean in the environment variable `name`.

    Raises:
        InvalidEnvVariable: the text is none of the accepted words.
    """
    text = os.environ.get(name, "").strip().lower()
    if not text:
        return default
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise InvalidEnvVariable(
        f"environment variable {name} cannot be read as a switch.",
        needs="true or false (also 1/0, yes/no, on/off)",
        found=repr(os.environ[name]),
        fix=f"unset {name}, or set it to true or false",
    )


def read_int(name: str, *, default: int, minimum: int = 0) -> int:
    """The whole number in the environment variable `name`.

    Raises:
        InvalidEnvVariable: the text is no whole number, or is below `minimum`.
    """
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if text.lstrip("+-").isdecimal() and int(text) >= minimum:
        return int(text)
    raise InvalidEnvVariable(
        f"environment variable {name} cannot be read as a number.",
        needs=f"a whole number of at least {minimum}",
        found=repr(text),
        fix=f"unset {name}, or set it to {default}",
    )
