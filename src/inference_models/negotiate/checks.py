"""Checks: pure functions of one candidate, the request and the machine. Every check runs on every candidate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from inference_models.entities import BackendType, Quantization
from inference_models.errors import Rejection
from inference_models.negotiate import (
    checks_features,
    checks_machine,
    checks_onnx,
    checks_request,
    checks_tensorrt,
    checks_torch,
)
from inference_models.negotiate.request import as_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.candidate import Candidate
    from inference_models.negotiate.request import PackageRequest


@dataclass(frozen=True)
class Case:
    """What one check looks at."""

    model: ModelMetadata
    candidate: Candidate
    request: PackageRequest
    environment: Environment

    @property
    def package(self) -> ModelPackageMetadata:
        """The package in question."""
        return self.candidate.package

    @property
    def runtime(self) -> BackendType:
        """The runtime that would open it."""
        return self.candidate.runtime

    @property
    def is_named(self) -> bool:
        """Whether the caller asked for this very package: defaults, which guess what is wanted, then say nothing."""
        return self.request.package_id == self.candidate.package.package_id

    def refuse(
        self, check: str, needs: str, found: str, fix: str | None = None, *, change: Mapping[str, Any] | None = None
    ) -> Rejection:
        """The refusal of this candidate.

        Args:
            check: Name of the check.
            needs: What the candidate needs, in the user's words.
            found: What there is instead.
            fix: A command that helps.
            change: Instead of a command: fields of the request which would help with another value. It is offered
                only if it holds: if no check that has nothing against the candidate now would refuse it then.
        """
        runtime = None if self.candidate.is_native else self.candidate.runtime
        if change is None:
            return Rejection(self.package.package_id, check, needs, found, fix, runtime)
        return _Proposal(self.package.package_id, check, needs, found, as_arguments(change), runtime, change)


@dataclass(frozen=True)
class _Proposal(Rejection):
    """A rejection whose fix is a change of the request that nobody has tried yet."""

    change: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    function: Callable[[Case], Rejection | None]
    can_force: bool = False
    """Whether `force=True` overrides it for the package the caller names."""
    reads: frozenset[str] = frozenset()
    """Fields of `PackageRequest` that decide it: it is asked again when one of them is to be changed."""
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
_WHERE = frozenset({"device", "execution_providers", "preferred_providers"})
"""What decides on which device a candidate would run."""


def _reads(*names: str) -> frozenset[str]:
    return frozenset(names)


CHECKS: tuple[Check, ...] = (
    Check(checks_request.check_package_id, reads=_reads("package_id")),
    Check(checks_features.check_implementation),
    Check(checks_features.check_features),
    Check(checks_features.check_capabilities, reads=_reads("required_capabilities")),
    Check(checks_request.check_trust, reads=_reads("allow_untrusted")),
    Check(checks_request.check_backend, reads=_reads("backends", "disabled_backends", "execution_providers")),
    Check(checks_request.check_quantization, can_force=True, reads=_reads("quantizations", "device", "package_id")),
    Check(checks_request.check_batch_size, can_force=True, reads=_reads("batch_size")),
    Check(checks_features.check_nms_fusion, can_force=True, reads=_reads("nms_fusion", "package_id")),
    Check(checks_machine.check_platform),
    Check(checks_machine.check_runtime, can_force=True, reads=_WHERE | {"allow_fallback"}),
    Check(checks_machine.check_device, can_force=True, reads=_reads("device", "allow_fallback")),
    Check(checks_machine.check_memory, can_force=True, reads=_WHERE | {"batch_size"}),
    Check(checks_onnx.check_opset, can_force=True, only=_ONNX),
    Check(checks_onnx.check_execution_providers, can_force=True, reads=_WHERE | {"allow_fallback"}, only=_ONNX),
    Check(checks_onnx.check_incompatible_providers, can_force=True, reads=_WHERE, only=_ONNX),
    Check(checks_torch.check_torch_script_device, can_force=True, reads=_reads("device"), only=_TORCH_SCRIPT),
    Check(checks_torch.check_torch_version, can_force=True, only=_TORCH_SCRIPT),
    Check(checks_torch.check_torchvision_version, can_force=True, only=_TORCH_SCRIPT),
    Check(checks_tensorrt.check_engine_origin, can_force=True, only=_TENSORRT),
    Check(checks_tensorrt.check_tensorrt_version, can_force=True, only=_TENSORRT),
    Check(checks_tensorrt.check_engine_gpu, can_force=True, reads=_reads("device"), only=_TENSORRT),
    Check(checks_tensorrt.check_jetson, can_force=True, only=_TENSORRT),
    Check(checks_tensorrt.check_engine_host_code, reads=_reads("allow_engine_host_code"), only=_TENSORRT),
)
"""All checks, in the order in which refusals are told.

`force=True` overrides those that judge: a machine, a version or a wish that the caller, who named the package, may know
better. It never overrides three kinds. Which package and which backend the caller named: opening another is not what
was asked for. Consent, that is trust and host code: it has arguments of its own, so that a yes to one is no yes to the
other. And what nothing here can do: no code runs or decodes it, or no such platform has the runtime.
"""

CAN_FORCE = frozenset(check.name for check in CHECKS if check.can_force)
"""Names of the checks that `force=True` overrides."""


def examine(case: Case) -> tuple[Rejection, ...]:
    """The refusals of every check, in the order of the table; empty: the candidate can run."""
    found = [reason for check in _checks_of(case.runtime) if (reason := check(case)) is not None]
    if not found:
        return ()
    refusing = {reason.check for reason in found}
    return tuple(_settled(case, item, refusing) if isinstance(item, _Proposal) else item for item in found)


@cache
def _checks_of(runtime: BackendType) -> tuple[Callable[[Case], Rejection | None], ...]:
    return tuple(check.function for check in CHECKS if check.only is None or runtime in check.only)


@cache
def _decided_by(runtime: BackendType, changed: tuple[str, ...]) -> tuple[Callable[[Case], Rejection | None], ...]:
    """The checks that may say something else once these fields of the request have."""
    about = [check for check in CHECKS if check.only is None or runtime in check.only]
    return tuple(check.function for check in about if not check.reads.isdisjoint(changed))


def _settled(case: Case, proposal: _Proposal, refusing: set[str]) -> Rejection:
    """`proposal` with a fix that holds, or without one."""
    fix = proposal.fix if _holds(case, proposal.check, proposal.change, refusing) else None
    if fix is None and "quantizations" not in proposal.change:
        # Another device has other default quantizations, so the same fix may need this one named.
        as_it_is = frozenset({case.package.quantization or Quantization.UNKNOWN})
        change = {**proposal.change, "quantizations": as_it_is}
        fix = as_arguments(change) if _holds(case, proposal.check, change, refusing) else None
    return Rejection(proposal.package_id, proposal.check, proposal.needs, proposal.found, fix, proposal.runtime)


def _holds(case: Case, check: str, change: Mapping[str, Any], refusing: set[str]) -> bool:
    """Whether `check` is content with a changed request, and no other that is content now stops being so."""
    functions = _decided_by(case.runtime, tuple(change))
    if len(functions) == 1:
        return True  # only the check that proposes it, which asks for what it takes
    request = _with(case.request, tuple(change.items()))
    changed = Case(case.model, case.candidate, request, case.environment)
    for function in functions:
        reason = function(changed)
        if reason is not None and (reason.check == check or reason.check not in refusing):
            return False
    return True


@lru_cache(maxsize=256)
def _with(request: PackageRequest, change: tuple[tuple[str, Any], ...]) -> PackageRequest:
    """The same change is tried for package after package."""
    return replace(request, **dict(change))
