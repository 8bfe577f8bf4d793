"""All checks on all candidates, then one declared order: keys compared one after the other, the smaller value first."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from inference_models.backends import find_runtime
from inference_models.entities import BackendType, Quantization
from inference_models.errors import (
    AmbiguousModelPackageResolutionError,
    NoModelPackagesAvailableError,
    nearest_hint,
)
from inference_models.negotiate.case import Case, Plan, Selection, candidates_of
from inference_models.negotiate.checks import CHECKS, examine
from inference_models.negotiate.checks_compiled import normalized
from inference_models.negotiate.checks_machine import device_kind, selected_gpus
from inference_models.negotiate.nms_fusion import FEATURE, NmsPreferences, read_settings
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.errors import Rejection
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.case import Candidate
    from inference_models.negotiate.request import PackageRequest

QUANTIZATION_ORDER_CPU = tuple(map(Quantization, ("int8", "fp32", "bf16", "fp16", "unknown")))
"""Best first. INT8 is there only if the caller asked for it; CPUs convert the 16-bit formats to 32 bits and back."""
QUANTIZATION_ORDER_GPU = tuple(map(Quantization, ("int8", "fp16", "fp32", "unknown", "bf16")))
_ON_CPU = {kind: place for place, kind in enumerate(QUANTIZATION_ORDER_CPU)}
_ON_GPU = {kind: place for place, kind in enumerate(QUANTIZATION_ORDER_GPU)}
_NO_VERSION = Version("0")


class RankKey(Record, frozen=True):
    """One line of the ranking."""

    name: str
    first: str
    """What comes first, for the documentation."""
    value: Callable[[Case], Any]
    """The smaller, the better; comparable with that of every other candidate of the same runtime."""
    only: BackendType | None = None
    """The runtime whose candidates differ in it; None: any."""


def _quantization(case: Case) -> int:
    order = _ON_CPU if device_kind(case) == "cpu" else _ON_GPU
    return order[case.package.quantization or Quantization.UNKNOWN]


def _opset(case: Case) -> int:
    details = case.package.onnx_package_details
    return 0 if details is None else -details.opset


def _engine(case: Case, name: str) -> bool:
    return bool(getattr(case.package.trt_package_details, name, False))


def _built_with(case: Case, name: str) -> tuple[bool, Version | None]:
    """The older version first, and last where an engine states none."""
    version = getattr(case.package.environment_requirements, name, None)
    return version is None, version or _NO_VERSION


def _built_elsewhere(case: Case, name: str, here: object) -> bool:
    stated = getattr(case.package.environment_requirements, name, None)
    return stated is None or stated != here


def _same_gpus(case: Case) -> int:
    built_on = case.package.environment_requirements
    if built_on is None:
        return 0
    wanted = normalized(built_on.cuda_device_name)
    return -sum(normalized(gpu.name) == wanted for gpu in selected_gpus(case.request, case.environment))


def _incompatible(case: Case) -> int:
    details = case.package.onnx_package_details
    if details is None or not details.incompatible_providers:
        return 0
    return len(set(details.incompatible_providers).intersection(case.environment.execution_providers))


def _batch_span(case: Case) -> int:
    if not case.package.specifies_dynamic_batch_boundaries():
        return 0
    low, high = case.package.get_dynamic_batch_boundaries()
    return low - high


def _fusion(case: Case) -> float:
    features, preferred = case.package.model_features, case.request.nms_fusion
    if not preferred or not features or FEATURE not in features:
        return 0
    settings = read_settings(features[FEATURE])
    if settings is None or not isinstance(preferred, NmsPreferences):
        return -1
    return -preferred.score(settings)


_TRT = BackendType.TRT

RANKING: tuple[RankKey, ...] = (
    RankKey(
        "runtime", "the runtime with the smallest `order` in its record", lambda case: find_runtime(case.runtime).order
    ),
    RankKey("native", "a package made for the runtime", lambda case: not case.candidate.is_native),
    RankKey(
        "quantization",
        f"on a CPU {', '.join(kind.value for kind in QUANTIZATION_ORDER_CPU)}; "
        f"elsewhere {', '.join(kind.value for kind in QUANTIZATION_ORDER_GPU)}",
        _quantization,
    ),
    RankKey("trust", "a source its provider vouches for", lambda case: not case.package.trusted_source),
    RankKey("batch mode", "any batch size", lambda case: not case.package.dynamic_batch_size_supported),
    RankKey("static batch", "the smaller batch", lambda case: case.package.static_batch_size or 0),
    RankKey("opset", "the newer operator set of ONNX", _opset),
    RankKey(
        "engine version",
        "an engine bound to its version of TensorRT",
        lambda case: _engine(case, "trt_forward_compatible"),
        _TRT,
    ),
    RankKey(
        "engine GPU", "an engine bound to its model of GPU", lambda case: _engine(case, "same_cc_compatible"), _TRT
    ),
    RankKey("GPUs", "an engine built on the model of more of the GPUs here", _same_gpus, _TRT),
    RankKey("CUDA", "an engine built with the older CUDA", lambda case: _built_with(case, "cuda_version"), _TRT),
    RankKey("TensorRT", "an engine built with the older TensorRT", lambda case: _built_with(case, "trt_version"), _TRT),
    RankKey("providers", "fewer execution providers here that it does not work with", _incompatible),
    RankKey("batch span", "an engine for more batch sizes", _batch_span, _TRT),
    RankKey("fused NMS", "settings nearer to `nms_fusion_preferences`; then an export without it", _fusion),
    RankKey(
        "lean runtime",
        "an engine with its lean runtime inside",
        lambda case: _engine(case, "trt_lean_runtime_excluded"),
        _TRT,
    ),
    RankKey(
        "Jetson",
        "an engine built on the same Jetson module",
        lambda case: _built_elsewhere(case, "jetson_product_name", case.environment.jetson),
        _TRT,
    ),
    RankKey(
        "system",
        "an engine built on the same operating system",
        lambda case: _built_elsewhere(case, "os_version", case.environment.os_version),
        _TRT,
    ),
    RankKey(
        "L4T",
        "an engine built with exactly this L4T",
        lambda case: _built_elsewhere(case, "l4t_version", case.environment.l4t_version),
        _TRT,
    ),
    RankKey(
        "driver",
        "an engine built with the same driver",
        lambda case: _built_elsewhere(case, "driver_version", case.environment.driver_version),
        _TRT,
    ),
    RankKey("package id", "the id that sorts first", lambda case: case.package.package_id),
)
"""All keys, the most important first. Ids differ within a model, so the order is total."""


class Verdict(Record, frozen=True):
    """A candidate with the rejections of all checks."""

    candidate: Candidate
    rejections: tuple[Rejection, ...]
    """Every reason against it."""
    runs: bool
    """Whether it may be opened; where there are reasons against it, because of `force=True`."""


class Choice(Record, frozen=True):
    """The outcome of negotiation."""

    model: ModelMetadata
    request: PackageRequest
    environment: Environment
    verdicts: tuple[Verdict, ...]
    """Those that can run, best first; then the others, in the order of the packages."""

    @property
    def admissible(self) -> tuple[Candidate, ...]:
        """The candidates that can run, best first."""
        return tuple(verdict.candidate for verdict in self.verdicts if verdict.runs)

    @property
    def packages(self) -> tuple[ModelPackageMetadata, ...]:
        """The packages of the admissible candidates, best first, each once."""
        return tuple({candidate.package.package_id: candidate.package for candidate in self.admissible}.values())

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """Every reason against every candidate that is not admissible."""
        return tuple(reason for verdict in self.verdicts if not verdict.runs for reason in verdict.rejections)

    @property
    def overridden(self) -> tuple[Rejection, ...]:
        """Every reason against those that are admissible only because of `force=True`."""
        return tuple(reason for verdict in self.verdicts if verdict.runs for reason in verdict.rejections)

    @property
    def declared_order(self) -> Selection:
        """The admissible candidates as they were ranked."""
        plans = tuple(Plan(verdict.candidate) for verdict in self.verdicts if verdict.runs)
        return Selection(plans, "order" if self.request.package_id is None else "package id")

    def ranked(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Candidates of this model, best first."""
        cases = [Case(self.model, candidate, self.request, self.environment) for candidate in candidates]
        return [case.candidate for case in ranked(cases)]


def negotiate(model: ModelMetadata, request: PackageRequest, environment: Environment) -> Choice:
    """The packages of `model` that can run here, best first, and every reason against the others.

    Raises:
        NoModelPackagesAvailableError: there are packages, and none with the id in the request.
        AmbiguousModelPackageResolutionError: several packages have that id.
    """
    if request.package_id is not None and model.model_packages:
        _refuse_unknown_id(model, request.package_id)
    cases = [Case(model, candidate, request, environment) for candidate in candidates_of(model)]
    reasons = {id(case): examine(case) for case in cases}
    fitting = [case for case in cases if not reasons[id(case)]]
    if not fitting and request.force:
        fitting = _forced([(case, reasons[id(case)]) for case in cases])
    first = [Verdict(case.candidate, reasons.pop(id(case)), runs=True) for case in ranked(fitting)]
    others = [Verdict(case.candidate, reasons[id(case)], runs=False) for case in cases if id(case) in reasons]
    return Choice(model, request, environment, (*first, *others))


def _forced(found: list[tuple[Case, tuple[Rejection, ...]]]) -> list[Case]:
    """Those with no reason that holds against `force`; of them, where there are such, the installed and native ones."""
    can_force = {check.name for check in CHECKS if check.can_force}
    fitting = [item for item in found if can_force.issuperset(reason.check for reason in item[1])]
    fitting = [item for item in fitting if all(reason.check != "runtime" for reason in item[1])] or fitting
    return [case for case, _ in fitting if case.candidate.is_native] or [case for case, _ in fitting]


def _refuse_unknown_id(model: ModelMetadata, package_id: str) -> None:
    ids = [package.package_id for package in model.model_packages]
    if package_id not in ids:
        raise NoModelPackagesAvailableError(
            f"model {model.model_id!r} has no package {package_id!r}; {nearest_hint(package_id, ids)}.",
            fix="leave model_package_id out, or name one of them",
        )
    if ids.count(package_id) > 1:
        raise AmbiguousModelPackageResolutionError(
            f"model {model.model_id!r} has several packages {package_id!r}.",
            needs="one package of that id",
            found=f"{ids.count(package_id)} of them",
            fix="choose by backend and quantization, and leave model_package_id out",
        )


def rank(case: Case) -> tuple[Any, ...]:
    """The place of a candidate among those that can run; sorts before those that are worse."""
    # The runtime is the first key, so tuples of different runtimes are never compared beyond it.
    runtime = case.runtime
    return tuple([key.value(case) for key in RANKING if key.only is None or key.only is runtime])


def ranked(cases: Iterable[Case]) -> list[Case]:
    """The cases, best first, whatever order they come in."""
    cases, first = list(cases), RANKING[0].value
    if len(set(map(first, cases))) == len(cases):  # as with one package: nothing but the runtimes differs
        return sorted(cases, key=first)
    seen = Counter((case.package.package_id, case.runtime) for case in cases)
    if len(seen) < len(cases):
        # Two packages of one id: a provider's mistake, and yet no reason for the order of its list to decide.
        cases = sorted(cases, key=_content)
    return sorted(cases, key=rank)


def _content(case: Case) -> list[tuple[str, ...]]:
    names = ("file_handle", "sha256_hash", "md5_hash", "download_url", "path", "text")
    return sorted(tuple(str(getattr(item, name, "")) for name in names) for item in case.package.package_artefacts)
