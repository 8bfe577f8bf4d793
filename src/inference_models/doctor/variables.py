"""What the doctor says about environment variables: those that switch something off, and those nobody can read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from inference_models import config
from inference_models.cache import resolution_files
from inference_models.doctor.findings import BAD, NOTE, Finding
from inference_models.errors import BaseInferenceModelsError
from inference_models.machine.hardware import ROOT
from inference_models.machine.system import is_jetson, jetson_type
from inference_models.negotiate.request import parse_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_SWITCHES = {
    "HF_HUB_OFFLINE": "only models of the hub that are in the cache load",
    "OFFLINE_MODE": "only models in the cache or in folders load",
}
_READERS: tuple[tuple[str, Callable[[], object]], ...] = (
    ("API_CALLS_MAX_TRIES", config.api_calls_max_tries),
    ("API_CALLS_TIMEOUT", config.api_calls_timeout),
    ("AUTO_LOADER_CACHE_EXPIRATION_MINUTES", lambda: config.read_int(resolution_files.LIFETIME_VARIABLE, default=1)),
    ("CHUNK_DOWNLOAD_READ_TIMEOUT", config.download_idle_timeout),
    ("DEFAULT_DEVICE", lambda: parse_device(config.default_device())),
    ("DISABLE_INTERACTIVE_PROGRESS_BARS", config.interactive_progress_bars),
    ("HF_HUB_OFFLINE", lambda: config.read_bool("HF_HUB_OFFLINE", default=False)),
    ("IDEMPOTENT_API_REQUEST_CODES_TO_RETRY", config.retried_status_codes),
    ("INFERENCE_MODELS_DOWNLOAD_TIMEOUT", lambda: config.download_deadline(None)),
    ("JETSON_MODULE", lambda: jetson_type(ROOT)),
    ("OFFLINE_MODE", config.offline_mode),
    ("RUNNING_ON_JETSON", lambda: is_jetson(None)),
)
"""How this library reads each variable."""


def examine_variables(providers: Sequence[str]) -> Iterable[Finding]:
    """Variables that are set and matter.

    Args:
        providers: Execution providers of the ONNX Runtime that is here.
    """
    for name, read in _READERS:
        if not os.environ.get(name, "").strip():
            continue
        try:
            value = read()
        except BaseInferenceModelsError as exc:
            yield Finding(BAD, _one_line(exc), exc.fix or f"unset {name}")
            continue
        if name in _SWITCHES and value:
            yield Finding(NOTE, f"{name} is on: {_SWITCHES[name]}", f"unset {name}")
    yield from _provider_order(providers)


def _provider_order(providers: Sequence[str]) -> Iterable[Finding]:
    wanted = config.requested_execution_providers()
    if not wanted or not providers:
        return
    absent = [name for name in wanted if name not in providers]
    if len(absent) == len(wanted):
        what = f"ONNXRUNTIME_EXECUTION_PROVIDERS names nothing that is here: {', '.join(absent)}"
        yield Finding(BAD, what, "unset ONNXRUNTIME_EXECUTION_PROVIDERS")
    elif absent:
        what = f"ONNXRUNTIME_EXECUTION_PROVIDERS also names what is not here: {', '.join(absent)}"
        kept = ",".join(name for name in wanted if name in providers)
        yield Finding(NOTE, what, f"export ONNXRUNTIME_EXECUTION_PROVIDERS={kept}")


def _one_line(exc: BaseInferenceModelsError) -> str:
    needs = f"; needs {exc.needs}; found: {exc.found}" if exc.needs else ""
    return f"{exc.summary.rstrip('.')}{needs}"
