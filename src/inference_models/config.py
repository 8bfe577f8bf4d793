"""Defaults and environment variables: every one is stated here and read when it is used, never at import."""

from __future__ import annotations

import logging
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from inference_models.errors import EnvironmentConfigurationError, InvalidEnvVariable

DEFAULT_CONFIDENCE = 0.4
DEFAULT_IOU_THRESHOLD = 0.3
DEFAULT_MAX_DETECTIONS = 300
PRE_NMS_TOP_K = 30_000
"""Candidates that enter non-maximum suppression at most, best scores first; bounds its time on hostile input."""
MAX_BATCH = 16
"""Images that `infer` keeps in memory at once when the graph sets no limit itself."""

MAX_PIXELS = 178_956_970
"""Width x height of an image at most: where `PIL.Image.open` refuses too (537 MB of pixels)."""
TRIAL_SECONDS = "INFERENCE_MODELS_TRIAL_SECONDS"
DEFAULT_TRIAL_SECONDS = 7

MEASUREMENTS = "measurements"
"""Folder of the cache with the measured choices; not there as long as nothing was measured."""
CONVERTED = "converted"
"""Folder of the cache with packages that were made here of others; not there as long as none was."""

_TRUE = frozenset({"true", "1", "t", "yes", "y", "on"})
_FALSE = frozenset({"false", "0", "f", "no", "n", "off"})
_NAMES = """
    ACL ArmNN Azure CPU CUDA CANN CoreML Dml Dnnl MIGraphX NvTensorRTRTX Nnapi OpenVINO QNN ROCM Rknpu Tensorrt Tvm
    VSINPU VitisAI WebGpu Xnnpack
"""
EXECUTION_PROVIDERS = tuple(f"{name}ExecutionProvider" for name in _NAMES.split())
"""Names that builds of ONNX Runtime know, from the list of its source."""
_SPELLINGS = {name.lower(): name for name in EXECUTION_PROVIDERS}
_SEPARATORS = re.compile(r"""[\s,;'"\[\]()]+""")


def cache_directory() -> Path:
    """`INFERENCE_HOME`, else `MODEL_CACHE_DIR`: where packages are kept; without them, the user's cache folder.

    A user who has no home, as in many containers, gets a folder of their own among the temporary files.

    Raises:
        EnvironmentConfigurationError: a variable names a home that nobody knows, or that folder is somebody else's.
    """
    try:
        for name in ("INFERENCE_HOME", "MODEL_CACHE_DIR"):
            value = os.environ.get(name, "").strip()
            if value:
                return Path(value).expanduser().absolute()
        import platformdirs  # noqa: PLC0415 - only needed when no variable is set

        name = ""
        return Path(platformdirs.user_cache_dir("inference-models", appauthor=False))
    except (KeyError, RuntimeError) as exc:
        if not name:
            return _folder_without_home()
        raise _no_cache(f"{name}={value} and a user without a home") from exc


def _folder_without_home() -> Path:
    import tempfile  # noqa: PLC0415 - only for a user without a home

    folder = Path(tempfile.gettempdir(), f"inference-models-{os.getuid()}")
    with suppress(OSError):  # where nothing can be written, nothing is remembered
        folder.mkdir(0o700)
    try:
        status = folder.lstat()
    except OSError:
        return folder
    # Anybody may make a folder of this name there, and fill it.
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022:
        return folder
    raise _no_cache(f"a user without a home, and '{folder}' of somebody else")


def _no_cache(found: str) -> EnvironmentConfigurationError:
    return EnvironmentConfigurationError(
        "there is no place for the cache.",
        needs="a home folder, or INFERENCE_HOME",
        found=found,
        fix="set INFERENCE_HOME to a folder that this user may write to",
    )


def offline_mode() -> bool:
    """Whether `OFFLINE_MODE` forbids the network."""
    return read_bool("OFFLINE_MODE", default=False)


def default_device() -> str | None:
    """`DEFAULT_DEVICE`: the device where a call names none; without it, the best that the chosen backend has."""
    return os.environ.get("DEFAULT_DEVICE", "").strip() or None


def requested_execution_providers() -> tuple[str, ...] | None:
    """`ONNXRUNTIME_EXECUTION_PROVIDERS`: those to consider, in this order, separated by commas.

    Brackets and quotes are left out, as a list in Python or a file of Docker has them; known names may be in any case.
    """
    names = _SEPARATORS.split(os.environ.get("ONNXRUNTIME_EXECUTION_PROVIDERS", ""))
    return tuple(_SPELLINGS.get(name.lower(), name) for name in names if name) or None


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


API_CALLS_TIMEOUT = 5
API_CALLS_MAX_TRIES = 3
NETWORK_BUDGET = 60
"""Seconds after which a source that does not answer is given up, waiting times included."""
RETRIED_STATUS_CODES = frozenset({408, 429, 502, 503, 504})
_API_HOSTS = {
    ("us", True): "https://api.roboflow.com",
    ("us", False): "https://api.roboflow.one",
    ("eu", True): "https://api.roboflow.eu",
    ("eu", False): "https://api.roboflow-eu.one",
}


def network_forbidden_by() -> str | None:
    """`OFFLINE_MODE`, `HF_HUB_OFFLINE`: each forbids the network, everywhere.

    Returns the one that does; None when it is allowed.
    """
    return next((name for name in ("OFFLINE_MODE", "HF_HUB_OFFLINE") if read_bool(name, default=False)), None)


def api_calls_timeout() -> int:
    """`API_CALLS_TIMEOUT`: seconds until a connection to an API, or a pause in its answer, is given up."""
    return read_int("API_CALLS_TIMEOUT", default=API_CALLS_TIMEOUT, minimum=1)


def api_calls_max_tries() -> int:
    """`API_CALLS_MAX_TRIES`: how often one API call is tried in all."""
    return read_int("API_CALLS_MAX_TRIES", default=API_CALLS_MAX_TRIES, minimum=1)


def retried_status_codes() -> frozenset[int]:
    """`IDEMPOTENT_API_REQUEST_CODES_TO_RETRY`: HTTP statuses of an API after which it is asked again.

    Raises:
        InvalidEnvVariable: the text is no list of numbers.
    """
    name = "IDEMPOTENT_API_REQUEST_CODES_TO_RETRY"
    text = os.environ.get(name, "").strip()
    if not text:
        return RETRIED_STATUS_CODES
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if all(part.isdecimal() and 400 <= int(part) <= 599 for part in parts):
        return frozenset(int(part) for part in parts)
    raise InvalidEnvVariable(
        f"environment variable {name} cannot be read as a list of HTTP statuses.",
        needs="numbers from 400 to 599, separated by commas",
        found=repr(text),
        fix=f"unset {name}, or set it to {','.join(map(str, sorted(RETRIED_STATUS_CODES)))}",
    )


def roboflow_api_key() -> str | None:
    """`ROBOFLOW_API_KEY`: the key of the hosted API."""
    return os.environ.get("ROBOFLOW_API_KEY", "").strip() or None


def roboflow_api_host() -> str:
    """`ROBOFLOW_API_HOST`, else `ROBOFLOW_REGION` (us, eu) and `ROBOFLOW_ENVIRONMENT` (prod, staging): the hosted API.

    An unknown region counts as us, with a warning on the log.
    """
    host = os.environ.get("ROBOFLOW_API_HOST", "").strip().rstrip("/")
    if host:
        return host
    region = os.environ.get("ROBOFLOW_REGION", "").strip().lower() or "us"
    production = (os.environ.get("ROBOFLOW_ENVIRONMENT", "").strip().lower() or "prod") == "prod"
    if (region, production) not in _API_HOSTS:
        logging.getLogger("inference-models").warning("ROBOFLOW_REGION is %r, not us or eu; us is used.", region)
        region = "us"
    return _API_HOSTS[region, production]


def secure_gateway() -> str | None:
    """`SECURE_GATEWAY`, else its older name `LICENSE_SERVER`: the host all requests go through."""
    names = ("SECURE_GATEWAY", "LICENSE_SERVER")
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)


DOWNLOAD_IDLE_TIMEOUT = 60
DOWNLOAD_RETRY_BUDGET = 60
"""Seconds without a new byte, pauses between attempts included, after which a download is given up."""
DOWNLOAD_SLOWEST_RATE = 64 << 10
"""Bytes per second; a download that is slower than this from beginning to end is given up."""


def download_idle_timeout() -> int:
    """`CHUNK_DOWNLOAD_READ_TIMEOUT`: seconds without a byte after which a connection counts as dead."""
    return read_int("CHUNK_DOWNLOAD_READ_TIMEOUT", default=DOWNLOAD_IDLE_TIMEOUT, minimum=1)


def download_deadline(size: int | None) -> int:
    """`INFERENCE_MODELS_DOWNLOAD_TIMEOUT`: seconds one file may take; else 10 minutes and what its size needs."""
    needed = 600 + (size or 0) // DOWNLOAD_SLOWEST_RATE
    return read_int("INFERENCE_MODELS_DOWNLOAD_TIMEOUT", default=needed, minimum=1)


def interactive_progress_bars() -> bool:
    """`DISABLE_INTERACTIVE_PROGRESS_BARS`: true draws no progress bars, in terminals either."""
    return not read_bool("DISABLE_INTERACTIVE_PROGRESS_BARS", default=False)


def manifest_hosts() -> frozenset[str]:
    """`INFERENCE_MODELS_MANIFEST_HOSTS`: hosts besides its own that a `manifest.json` may take files from."""
    text = os.environ.get("INFERENCE_MODELS_MANIFEST_HOSTS", "")
    return frozenset(part.strip().lower() for part in text.split(",") if part.strip())


def trial_seconds() -> int:
    """`INFERENCE_MODELS_TRIAL_SECONDS`: seconds for the trial of a graph nobody vouches for; 0: none is tried."""
    return read_int(TRIAL_SECONDS, default=DEFAULT_TRIAL_SECONDS)


def max_pixels() -> int:
    """`INFERENCE_MODELS_MAX_PIXELS`: width x height of an image file at most; larger ones are refused undecoded."""
    return read_int("INFERENCE_MODELS_MAX_PIXELS", default=MAX_PIXELS, minimum=1)


def hub_endpoint() -> str:
    """`HF_ENDPOINT`: address of the Hugging Face Hub or a mirror of it, without a slash at the end."""
    return os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or "https://huggingface.co"


def hosted_api_known() -> bool:
    """Whether a key or a host of the hosted API is set, so that an unknown id may mean one of its models."""
    return any(os.environ.get(name, "").strip() for name in ("ROBOFLOW_API_HOST", "ROBOFLOW_API_KEY"))
