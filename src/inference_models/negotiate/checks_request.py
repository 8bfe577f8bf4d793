"""Checks of what the caller asked for: which package, backend, number format and batch, and whom to trust."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from inference_models.entities import BackendType, Quantization

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inference_models.errors import Rejection
    from inference_models.negotiate.checks import Case

_ALWAYS = frozenset({Quantization.FP32, Quantization.UNKNOWN})


def check_package_id(case: Case) -> Rejection | None:
    """Refuses every package but the one that `model_package_id` names."""
    if case.request.package_id is None or case.is_named:
        return None
    return case.refuse("package_id", f"package id {case.request.package_id}", case.package.package_id)


def check_trust(case: Case) -> Rejection | None:
    """Refuses packages their provider does not vouch for, unless `allow_untrusted_packages=True`."""
    if case.package.trusted_source or case.request.allow_untrusted:
        return None
    return case.refuse("trust", "a trusted source", "an untrusted one", change={"allow_untrusted": True})


def check_backend(case: Case) -> Rejection | None:
    """Refuses runtimes that are not in `backend`; where it is not given, those in `disabled_backends`."""
    wanted = case.request.backends
    if wanted is not None:
        needs = None if case.runtime in wanted else f"backend {_either(kind.value for kind in wanted)}"
    elif case.runtime in case.request.disabled_backends:
        needs = "a backend that is not disabled"
    elif case.request.execution_providers is not None and case.package.backend is BackendType.ONNX:
        # Who names its execution providers names ONNX Runtime: another runtime must not step in unasked.
        needs = None if case.runtime is BackendType.ONNX else "ONNX Runtime, whose execution providers were named"
    else:
        return None
    if needs is None:
        return None
    return case.refuse("backend", needs, case.runtime.value, change={"backends": frozenset({case.runtime})})


def check_quantization(case: Case) -> Rejection | None:
    """Refuses number formats that are not in `quantization`; where it is not given, those the device has no use for."""
    stated = case.package.quantization or Quantization.UNKNOWN
    wanted = case.request.quantizations
    if wanted is None:
        # Core ML compiles a package for the device it runs on, whatever the format it was stored in.
        if case.is_named or case.package.backend is BackendType.COREML:
            return None
        device = _device(case)
        if stated in default_quantizations(device):
            return None
        needs = _default_text(device)
    elif stated in wanted:
        return None
    else:
        needs = f"quantization {_either(kind.value for kind in wanted)}"
    found = case.package.quantization.value if case.package.quantization else "not stated"
    return case.refuse("quantization", needs, found, change={"quantizations": frozenset({stated})})


def check_batch_size(case: Case) -> Rejection | None:
    """Refuses packages that say they do not take every batch size in `batch_size`."""
    if case.request.batch_size is None:
        return None
    smallest, largest = case.request.batch_size
    package = case.package
    if package.specifies_dynamic_batch_boundaries():
        low, high = package.get_dynamic_batch_boundaries()
        mode = "dynamic"
    elif package.dynamic_batch_size_supported or package.static_batch_size is None:
        return None
    else:
        low = high = package.static_batch_size
        mode = "static"
    if low <= smallest and largest <= high:
        return None
    needs, found = f"batch {_span(smallest, largest)}", f"{mode} batch {_span(low, high)}"
    return case.refuse("batch_size", needs, found, change={"batch_size": (low, high)} if 0 < low <= high else None)


@cache
def default_quantizations(device: str | None) -> frozenset[Quantization]:
    """What is taken where the caller names no quantization: INT8 never is, since it changes the answers.

    Args:
        device: Kind of device the caller named; `gpu`: none, and this machine has an NVIDIA device; None: none.
    """
    if device is None:
        return _ALWAYS | {Quantization.FP16, Quantization.BF16}
    return _ALWAYS | {Quantization.BF16 if device == "cpu" else Quantization.FP16}


def _device(case: Case) -> str | None:
    if case.request.device is not None:
        return case.request.device.partition(":")[0]
    return "gpu" if case.environment.gpus else None


@cache
def _default_text(device: str | None) -> str:
    where = {None: "here", "gpu": "here"}.get(device, f"on {device}")
    kinds = _either(kind.value for kind in default_quantizations(device))
    return f"quantization {kinds} (the default {where})"


def _either(names: Iterable[str]) -> str:
    *most, last = sorted(names)
    return f"{', '.join(most)} or {last}" if most else last


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}..{high}"
