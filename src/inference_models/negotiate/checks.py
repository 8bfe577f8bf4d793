"""The checks of a package against this release and the request, and the table of all checks.

Each is a pure function of one candidate, the request and the machine.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from inference_models.backends import is_driven
from inference_models.entities import BackendType, InlineFileSpecs, PackageSourceType, Quantization
from inference_models.errors import ModelImplementationNotFoundError, nearest_names
from inference_models.families import ClassificationGraph, Graph, find_family, find_graph, known_architectures
from inference_models.negotiate import checks_compiled, checks_machine
from inference_models.negotiate.nms_fusion import FEATURE, USUAL, NmsPreferences, exact_preferences, read_settings
from inference_models.negotiate.request import IMAGE_EMBEDDINGS
from inference_models.package.formats import FORMATS
from inference_models.package.model_config import FILE_NAME as CONFIG_FILE
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from inference_models.errors import Rejection
    from inference_models.negotiate.case import Case
    from inference_models.negotiate.request import PackageRequest

LEAVE_PROVIDERS = "leave onnx_execution_providers out"
_ALWAYS = frozenset({Quantization.FP32, Quantization.UNKNOWN})


def check_package_id(case: Case) -> Rejection | None:
    """Refuses every package but the one that `model_package_id` names."""
    if case.is_named:
        return None
    return case.refuse("package_id", f"package id {case.request.package_id}", case.package.package_id)


def check_implementation(case: Case) -> Rejection | None:
    """Refuses runtimes, architectures and tasks that nothing in this release, and no plug-in, can run."""
    if case.package.backend is BackendType.CUSTOM:
        return None
    if not is_driven(case.runtime):
        return case.refuse("implementation", f"a backend for {case.runtime.value}", "none in this release")
    graph = _graph(case.model.model_architecture, case.model.task_type or "")
    if not isinstance(graph, str):
        if case.runtime is not BackendType.TORCH or graph.module is not None:
            return None
        # A package of this format is weights alone, of a network that has to be built here.
        needs = f"the network of {case.model.model_architecture} in PyTorch"
        return case.refuse("implementation", needs, "none in this release")
    if case.model.task_type is None:
        with suppress(ModelImplementationNotFoundError):
            tasks = _either(find_family(case.model.model_architecture).tasks)
            return case.refuse("implementation", f"one task: {tasks}", "none that is named", _other_words(case))
    does = f" that does {case.model.task_type}" if case.model.task_type else ""
    needs = f"a family for {case.model.model_architecture}{does}"
    return case.refuse("implementation", needs, graph, _other_words(case))


def _other_words(case: Case) -> str | None:
    """The nearest architecture or task of this release, written where the caller wrote the wrong one."""
    architecture = case.model.model_architecture
    try:
        tasks = find_family(architecture).tasks
        field, argument, known = (
            "task_type",
            "task_type",
            nearest_names(case.model.task_type or "", tasks, limit=1) or [*tasks],
        )
    except ModelImplementationNotFoundError:
        field, argument, known = "model_architecture", "model_type", nearest_names(architecture, known_architectures())
    artefacts = case.package.package_artefacts
    if not known or case.package.package_source is not PackageSourceType.LOCAL_CACHE:
        return None
    if any(isinstance(item, InlineFileSpecs) and item.file_handle == CONFIG_FILE for item in artefacts):
        return f"{argument}=" + " or ".join(f'"{name}"' for name in known)
    return f'write in {CONFIG_FILE}: "{field}": ' + " or ".join(f'"{name}"' for name in known)


def check_features(case: Case) -> Rejection | None:
    """Refuses packages with features that the decoders of this release do not know."""
    features = case.package.model_features
    if not features or case.package.backend is BackendType.CUSTOM:
        return None
    graph = _graph(case.model.model_architecture, case.model.task_type or "")
    if isinstance(graph, str):
        return None
    known = () if getattr(graph, "fused", None) is None else (FEATURE,)
    unknown = sorted(features.keys() - {*known, *getattr(graph, "features", ())})
    if not unknown:
        return None
    knows = " and ".join(known) or "nothing of the kind"
    found = f"that of {case.model.model_architecture}, which knows {knows}"
    return case.refuse("features", f"a decoder for {' and '.join(unknown)}", found)


def check_capabilities(case: Case) -> Rejection | None:
    """Refuses what cannot do everything in `required_capabilities`."""
    if not case.request.required_capabilities or _gives_image_embeddings(case):
        return None
    what = f"{case.model.model_architecture} on {case.runtime.value}"
    if case.package.backend is not BackendType.ONNX:
        what = f"{case.package.backend.value} package of {what}"
    return case.refuse("capabilities", IMAGE_EMBEDDINGS, f"{what}, which does not give it in this release")


def _gives_image_embeddings(case: Case) -> bool:
    graph = _graph(case.model.model_architecture, case.model.task_type or "")
    known = case.package.backend in {BackendType.ONNX, BackendType.TORCH, BackendType.HF}
    return isinstance(graph, ClassificationGraph) and known


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
        if needs is None and _ignores_providers(case):
            found = f"{case.runtime.value}, which has none"
            return case.refuse("backend", "ONNX Runtime, whose execution providers were named", found, LEAVE_PROVIDERS)
    elif case.runtime in case.request.disabled_backends:
        needs = "a backend that is not disabled"
    elif _names_providers(case.request) and case.package.backend is BackendType.ONNX:
        # Who names its execution providers names ONNX Runtime: another runtime must not step in unasked.
        needs = None if case.runtime is BackendType.ONNX else "ONNX Runtime, whose execution providers were named"
    else:
        return None
    if needs is None:
        return None
    if _ignores_providers(case):
        # Nothing alone helps where another runtime is wanted, or a variable names providers too.
        helps = wanted is None and case.request.preferred_providers is None
        return case.refuse("backend", needs, case.runtime.value, LEAVE_PROVIDERS if helps else None)
    return case.refuse("backend", needs, case.runtime.value, change={"backends": frozenset({case.runtime})})


def _ignores_providers(case: Case) -> bool:
    """Whether execution providers were named for a runtime that has none."""
    is_graph, named = case.package.backend is BackendType.ONNX, case.request.execution_providers
    return is_graph and named is not None and case.runtime is not BackendType.ONNX


def _names_providers(request: PackageRequest) -> bool:
    by_variable = request.preferred_providers is not None and request.device is None
    return request.execution_providers is not None or by_variable


def check_quantization(case: Case) -> Rejection | None:
    """Refuses number formats that are not in `quantization`; where it is not given, those the device has no use for."""
    stated = case.package.quantization or Quantization.UNKNOWN
    wanted = case.request.quantizations
    is_own = case.package.package_source is PackageSourceType.LOCAL_CACHE
    if wanted is None:
        # Core ML compiles a package for the device it runs on, whatever the format it was stored in.
        if stated in _ALWAYS or case.is_named or case.package.backend is BackendType.COREML:
            return None
        # There is no choice to make for a file of the caller's own, but few bits change the answers.
        if is_own and stated is not Quantization.INT8:
            return None
        device = _device(case)
        if stated in default_quantizations(device):
            return None
        where = {None: "here", "gpu": "here"}.get(device, f"on {device}")
        needs = f"quantization {_either(kind.value for kind in default_quantizations(device))} (the default {where})"
    elif stated in wanted:
        return None
    else:
        needs = f"quantization {_either(kind.value for kind in wanted)}"
    found = "not stated" if stated is Quantization.UNKNOWN else stated.value
    if stated is Quantization.UNKNOWN or (is_own and stated is not Quantization.INT8):
        return case.refuse("quantization", needs, found, "leave quantization out")
    return case.refuse("quantization", needs, found, change={"quantizations": frozenset({stated})})


def check_batch_size(case: Case) -> Rejection | None:
    """Refuses packages that say they do not take every batch size in `batch_size`; graphs take more by parts."""
    package = case.package
    if case.request.batch_size is None:
        return None
    smallest, largest = case.request.batch_size
    if package.specifies_dynamic_batch_boundaries():
        low, high = package.get_dynamic_batch_boundaries()
        mode = "dynamic"
    elif package.dynamic_batch_size_supported or package.static_batch_size is None:
        return None
    else:
        low = high = package.static_batch_size
        mode = "static"
        if case.package.backend in FORMATS and low <= smallest:
            return None
    if low <= smallest and largest <= high:
        return None
    needs, found = f"batch {_span(smallest, largest)}", f"{mode} batch {_span(low, high)}"
    return case.refuse("batch_size", needs, found, change={"batch_size": (low, high)} if 0 < low <= high else None)


def check_nms_fusion(case: Case) -> Rejection | None:
    """Refuses exports that hold non-maximum suppression, unless `nms_fusion_preferences` takes their settings."""
    features, preferred = case.package.model_features, case.request.nms_fusion
    if not features or FEATURE not in features:
        return None
    # There is no choice to make for a file of the caller's own, nor for a package the caller names.
    chosen = case.is_named or case.package.package_source is PackageSourceType.LOCAL_CACHE
    if chosen and (preferred is None or (preferred is True and features[FEATURE] is True)):
        return None
    settings = read_settings(features[FEATURE])
    if settings is None:
        found = "an export with it inside, which does not say with which settings"
        by_name = None if preferred is not None else {"package_id": case.package.package_id}
        return case.refuse("nms_fusion", _suppression(preferred), found, change=by_name)
    missed = (USUAL if preferred is True else preferred).misses(settings) if preferred else None
    if missed == []:
        return None
    found = f"an export with it inside ({_listed(settings)})"
    if missed:
        found = _listed({name: settings[name] for name in missed})
    exactly = exact_preferences(settings) if USUAL.misses(settings) else True
    return case.refuse("nms_fusion", _suppression(preferred), found, change={"nms_fusion": exactly})


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


def _suppression(preferred: bool | NmsPreferences | None) -> str:
    if not preferred:
        return "an export without non-maximum suppression"
    return "suppression with " + _listed((USUAL if preferred is True else preferred).as_argument())


def _listed(settings: Mapping[str, object]) -> str:
    spans = {
        name: "..".join(map(str, value)) if isinstance(value, tuple) else value for name, value in settings.items()
    }
    return ", ".join(f"{name} {value}" for name, value in spans.items())


def _either(names: Iterable[str]) -> str:
    *most, last = sorted(names)
    return f"{', '.join(most)} or {last}" if most else last


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}..{high}"


@lru_cache(maxsize=64)
def _graph(architecture: str, task: str) -> Graph | str:
    """How it is run, or why it is not. Looked up once and not for each of the packages of a model."""
    try:
        return find_graph(architecture, task)
    except ModelImplementationNotFoundError as exc:
        return exc.summary.rstrip(".")


class Check(Record, frozen=True):
    """One line of the table."""

    function: Callable[[Case], Rejection | None]
    can_force: bool = False
    """Whether `force=True` overrides it for the package the caller names."""
    asks: tuple[str, ...] = ()
    """Fields of `PackageRequest`: it refuses nothing unless one of them is set. Empty: it looks at every request."""
    states: str | None = None
    """Field of the package: it refuses nothing where the package does not state it."""
    only: BackendType | None = None
    """The runtime it is about; None: all."""

    @property
    def name(self) -> str:
        """As in `Rejection.check`."""
        return self.function.__name__.removeprefix("check_")

    @property
    def refuses(self) -> str:
        """What it refuses, for the documentation."""
        return (self.function.__doc__ or "").partition("\n")[0].removeprefix("Refuses ").rstrip(".")


_ONNX, _TORCH_SCRIPT, _TENSORRT = BackendType.ONNX, BackendType.TORCH_SCRIPT, BackendType.TRT
_PROVIDERS = ("execution_providers", "device", "preferred_providers")
_ONNX_DETAILS, _ENGINE_DETAILS = "onnx_package_details", "trt_package_details"
_ARCHIVE_DETAILS, _BUILT_ON = "torch_script_package_details", "environment_requirements"

CHECKS: tuple[Check, ...] = (
    Check(check_package_id, asks=("package_id",)),
    Check(check_implementation),
    Check(check_features, states="model_features"),
    Check(check_capabilities, asks=("required_capabilities",)),
    Check(check_trust),
    Check(check_backend, asks=("backends", "disabled_backends", "execution_providers", "preferred_providers")),
    Check(check_quantization, can_force=True),
    Check(check_batch_size, can_force=True, asks=("batch_size",)),
    Check(check_nms_fusion, can_force=True, states="model_features"),
    Check(checks_machine.check_platform),
    Check(checks_machine.check_runtime, can_force=True),
    Check(checks_machine.check_device, can_force=True),
    Check(checks_machine.check_memory, can_force=True),
    Check(checks_machine.check_operator_faults, can_force=True, states="operator_faults"),
    Check(checks_machine.check_opset, can_force=True, states=_ONNX_DETAILS, only=_ONNX),
    Check(checks_machine.check_execution_providers, can_force=True, asks=_PROVIDERS, only=_ONNX),
    Check(checks_machine.check_incompatible_providers, can_force=True, states=_ONNX_DETAILS, only=_ONNX),
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


def examine(case: Case) -> tuple[Rejection, ...]:
    """The refusals of every check, in the order of the table; empty: the candidate can run."""
    found = []
    package, request, runtime = case.package, case.request, case.runtime
    for check in CHECKS:
        if check.only not in {None, runtime}:
            continue
        if check.states is not None and getattr(package, check.states) is None:
            continue
        if check.asks and not any([getattr(request, name) for name in check.asks]):  # noqa: C419 - as fast as can be
            continue
        reason = check.function(case)
        if reason is not None:
            found.append(reason)
    return tuple(found)
