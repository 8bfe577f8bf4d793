"""What the doctor says about installed libraries and about environment variables."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from typing import TYPE_CHECKING

from inference_models import config
from inference_models.backends import find_runtime, known_runtimes, runtimes_for
from inference_models.backends.runtimes import ONNX
from inference_models.cache import resolution_files
from inference_models.doctor.findings import BAD, GOOD, NOTE, Finding
from inference_models.entities import BackendType
from inference_models.errors import BaseInferenceModelsError
from inference_models.machine.hardware import ROOT
from inference_models.machine.libraries import CUDA
from inference_models.machine.mends import THEN, mend_of, set_variable, unset_variable
from inference_models.machine.system import is_jetson, jetson_type
from inference_models.negotiate.request import parse_device
from inference_models.version import DISTRIBUTION, NAMESAKE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from inference_models.machine.environment import Environment
    from inference_models.machine.libraries import Distribution

_OPENCV = "opencv-python-headless"
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


def examine_libraries(distributions: Mapping[str, Distribution]) -> Iterable[Finding]:
    """Several libraries of one kind, the other product of this name, and no pip for models that come as wheels."""
    yield _onnx_runtime(distributions)
    opencvs = sorted(name for name in distributions if name.startswith("opencv-") and "python" in name)
    if len(opencvs) > 1:
        yield _overwriting(opencvs, _OPENCV)
    else:
        yield Finding(GOOD, f"one OpenCV: {''.join(opencvs) or 'installed outside of pip'}")
    if NAMESAKE in distributions:
        what = f"{NAMESAKE} {distributions[NAMESAKE].version} is another product with the import name of {DISTRIBUTION}"
        mend = f"pip uninstall -y {NAMESAKE} {DISTRIBUTION}"
        yield Finding(BAD, f"{what}: their files overwrite each other; after this, install the one you want", mend)
    if importlib.util.find_spec("pip") is not None or shutil.which("pip"):
        yield Finding(GOOD, "pip is there to fetch models that come as wheels")
    else:
        what = "pip is missing, models that come as wheels cannot be fetched"
        yield Finding(NOTE, what, f"{sys.executable} -m ensurepip")


def examine_broken(environment: Environment) -> Iterable[Finding]:
    """Libraries that are installed and cannot be imported."""
    for library, problem in sorted(environment.broken.items()):
        if library != CUDA:
            label = environment.builds.get(library, library)
            yield Finding(BAD, f"{label} is installed and cannot be used: {problem}", mend_of(label, problem))


def examine_variables(providers: Sequence[str]) -> Iterable[Finding]:
    """Variables that are set and switch something off, and those that cannot be read.

    Args:
        providers: Execution providers of the ONNX Runtime that is here.
    """
    for name, read in _READERS:
        if not os.environ.get(name, "").strip():
            continue
        try:
            value = read()
        except BaseInferenceModelsError as exc:
            needs = f"; needs {exc.needs}; found: {exc.found}" if exc.needs else ""
            yield Finding(BAD, f"{exc.summary.rstrip('.')}{needs}", exc.fix or unset_variable(name))
            continue
        if name in _SWITCHES and value:
            yield Finding(NOTE, f"{name} is on: {_SWITCHES[name]}", unset_variable(name))
    wanted = config.requested_execution_providers() or ()
    absent = [name for name in wanted if name not in providers]
    if providers and absent:
        kept = ",".join(name for name in wanted if name in providers)
        names = "also names what is not here" if kept else "names nothing that is here"
        what = f"ONNXRUNTIME_EXECUTION_PROVIDERS {names}: {', '.join(absent)}"
        variable = "ONNXRUNTIME_EXECUTION_PROVIDERS"
        yield Finding(NOTE if kept else BAD, what, set_variable(variable, kept) if kept else unset_variable(variable))


def _onnx_runtime(distributions: Mapping[str, Distribution]) -> Finding:
    """Whether there is exactly one."""
    found = [name for name in ONNX.libraries[0].distributions if name in distributions]
    if len(found) == 1:
        return Finding(GOOD, f"one ONNX Runtime: {found[0]}")
    if found:
        # Whoever installed a special build wanted it; the plain one came along with some other package.
        return _overwriting(sorted(found), next(name for name in found if name != "onnxruntime"))
    if not any(_is_installed(kind, distributions) for kind in known_runtimes()):
        return Finding(BAD, "no runtime is installed: no model can run", ONNX.install)
    others = [kind.value for kind in runtimes_for(BackendType.ONNX)[1:] if _is_installed(kind, distributions)]
    instead = f"run with {' or '.join(others)}" if others else "cannot run"
    return Finding(NOTE, f"ONNX Runtime is not installed, ONNX packages {instead}", ONNX.install)


def _is_installed(kind: BackendType, distributions: Mapping[str, Distribution]) -> bool:
    return any(name in distributions for item in find_runtime(kind).libraries for name in item.distributions)


def _overwriting(found: list[str], keep: str) -> Finding:
    mend = f"pip uninstall -y {' '.join(found)}{THEN}pip install {keep}"
    return Finding(BAD, f"{' and '.join(found)} overwrite each other's files", mend)
