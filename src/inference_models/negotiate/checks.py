"""The table of checks: pure functions of one candidate, the request and the machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from inference_models.entities import BackendType
from inference_models.negotiate import checks_compiled, checks_machine, checks_onnx, checks_package

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.errors import Rejection
    from inference_models.negotiate.case import Case


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    function: Callable[[Case], Rejection | None]
    can_force: bool = False
    """Whether `force=True` overrides it for the package the caller names."""
    asks: tuple[str, ...] = ()
    """Fields of `PackageRequest`: it refuses nothing unless one of them is set. Empty: it looks at every request."""
    states: str | None = None
    """Field of the package: it refuses nothing where the package does not state it."""
    only: frozenset[BackendType] | None = None
    """Runtimes it is about; None: all."""

    @property
    def name(self) -> str:
        """As in `Rejection.check`."""
        return self.function.__name__.removeprefix("check_")

    @property
    def refuses(self) -> str:
        """What it refuses, for the documentation."""
        return (self.function.__doc__ or "").partition("\n")[0].removeprefix("Refuses ").rstrip(".")


_ONNX = frozenset({BackendType.ONNX})
_TORCH_SCRIPT = frozenset({BackendType.TORCH_SCRIPT})
_TENSORRT = frozenset({BackendType.TRT})
_PROVIDERS = ("execution_providers", "device", "preferred_providers")
_ONNX_DETAILS, _ENGINE_DETAILS = "onnx_package_details", "trt_package_details"
_ARCHIVE_DETAILS, _BUILT_ON = "torch_script_package_details", "environment_requirements"

CHECKS: tuple[Check, ...] = (
    Check(checks_package.check_package_id, asks=("package_id",)),
    Check(checks_package.check_implementation),
    Check(checks_package.check_features, states="model_features"),
    Check(checks_package.check_capabilities, asks=("required_capabilities",)),
    Check(checks_package.check_trust),
    Check(checks_package.check_backend, asks=("backends", "disabled_backends", "execution_providers")),
    Check(checks_package.check_quantization, can_force=True),
    Check(checks_package.check_batch_size, can_force=True, asks=("batch_size",)),
    Check(checks_package.check_nms_fusion, can_force=True, states="model_features"),
    Check(checks_machine.check_platform),
    Check(checks_machine.check_runtime, can_force=True),
    Check(checks_machine.check_device, can_force=True),
    Check(checks_machine.check_memory, can_force=True),
    Check(checks_onnx.check_opset, can_force=True, states=_ONNX_DETAILS, only=_ONNX),
    Check(checks_onnx.check_execution_providers, can_force=True, asks=_PROVIDERS, only=_ONNX),
    Check(checks_onnx.check_incompatible_providers, can_force=True, states=_ONNX_DETAILS, only=_ONNX),
    Check(checks_compiled.check_torch_script_device, can_force=True, states=_ARCHIVE_DETAILS, only=_TORCH_SCRIPT),
    Check(checks_compiled.check_torch_version, can_force=True, states=_ARCHIVE_DETAILS, only=_TORCH_SCRIPT),
    Check(checks_compiled.check_torchvision_version, can_force=True, states=_ARCHIVE_DETAILS, only=_TORCH_SCRIPT),
    Check(checks_compiled.check_engine_origin, can_force=True, only=_TENSORRT),
    Check(checks_compiled.check_tensorrt_version, can_force=True, only=_TENSORRT),
    Check(checks_compiled.check_engine_gpu, can_force=True, states=_BUILT_ON, only=_TENSORRT),
    Check(checks_compiled.check_jetson, can_force=True, states=_BUILT_ON, only=_TENSORRT),
    Check(checks_compiled.check_engine_host_code, states=_ENGINE_DETAILS, only=_TENSORRT),
)
"""All checks, in the order in which refusals are reported.

`force=True` overrides those that judge: a machine, a version or a request that the caller, who named the package, may
know better. It never overrides three kinds. Which package and which backend the caller named: opening another is not
what was asked for. Consent, that is trust and host code: it has arguments of its own, so that a yes to one is no yes to
the other. And what nothing here can do: no code runs or decodes it, or no such platform has the runtime.
"""

CAN_FORCE = frozenset(check.name for check in CHECKS if check.can_force)
"""Names of the checks that `force=True` overrides."""


def examine(case: Case) -> tuple[Rejection, ...]:
    """The refusals of every check, in the order of the table; empty: the candidate can run."""
    found = []
    package, request = case.package, case.request
    for check in _checks_of(case.runtime):
        if check.states is not None and getattr(package, check.states) is None:
            continue
        if check.asks and not any([getattr(request, name) for name in check.asks]):  # noqa: C419 - as fast as can be
            continue
        reason = check.function(case)
        if reason is not None:
            found.append(reason)
    return tuple(found)


@cache
def _checks_of(runtime: BackendType) -> tuple[Check, ...]:
    return tuple([check for check in CHECKS if check.only is None or runtime in check.only])
