"""Checks of what was compiled or traced for one place: TensorRT engines (not yet run on hardware), TorchScript."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.version import Version

from inference_models.entities import JetsonEnvironmentRequirements
from inference_models.negotiate.checks_machine import device_kind, selected_gpus

if TYPE_CHECKING:
    from inference_models.errors import Rejection
    from inference_models.machine.environment import Gpu
    from inference_models.negotiate.case import Case


def check_engine_origin(case: Case) -> Rejection | None:
    """Refuses engines that do not say on which GPU, and with which TensorRT, they were built."""
    built_on = case.package.environment_requirements
    if built_on is not None and built_on.trt_version is not None:
        return None
    what = "where it was built" if built_on is None else "with which TensorRT it was built"
    return case.refuse("engine_origin", f"an engine that says {what}", "nothing about it")


def check_tensorrt_version(case: Case) -> Rejection | None:
    """Refuses engines where TensorRT is missing, or is not of the version they were built with."""
    built_on = case.package.environment_requirements
    built_with = None if built_on is None else built_on.trt_version
    installed = case.environment.installed.get("tensorrt")
    found = case.environment.tensorrt_version or installed
    if built_with is None:
        missing = installed is None and "tensorrt" not in case.environment.broken
        return case.refuse("tensorrt_version", "tensorrt", "not installed") if missing else None
    details = case.package.trt_package_details
    forward = details is not None and details.trt_forward_compatible
    if installed is not None and found is not None:
        fits = found >= built_with if forward else same_release(found, built_with)
        if fits:
            return None
    elif "tensorrt" in case.environment.broken:
        return None
    needs = f"tensorrt {built_with} or newer" if forward else f"tensorrt {built_with}"
    release = ".".join(str(part) for part in built_with.release[:3])
    # A Jetson has the TensorRT of its system image; no other can be installed beside it.
    fix = None if case.environment.jetson else f'pip install "tensorrt{">=" if forward else "=="}{release}"'
    return case.refuse("tensorrt_version", needs, str(found) if installed else "not installed", fix)


def check_engine_gpu(case: Case) -> Rejection | None:
    """Refuses engines built on another GPU, or where they allow it, for another compute capability."""
    built_on = case.package.environment_requirements
    gpus = selected_gpus(case.request, case.environment)
    if built_on is None or not gpus:
        return None
    details = case.package.trt_package_details
    by_capability = details is not None and details.same_cc_compatible

    def fits(gpu: Gpu) -> bool:
        if by_capability:
            return gpu.compute_capability == built_on.cuda_device_cc
        return normalized(gpu.name) == normalized(built_on.cuda_device_name)

    if any(fits(gpu) for gpu in gpus):
        return None
    model = f"the model of GPU it was built on, {built_on.cuda_device_name}"
    needs = f"a GPU of compute capability {built_on.cuda_device_cc}" if by_capability else model
    other = next((index for index, gpu in enumerate(case.environment.gpus) if fits(gpu)), None)
    found = " and ".join(dict.fromkeys(_shown(gpu, with_capability=by_capability) for gpu in gpus))
    return case.refuse("engine_gpu", needs, found, change=None if other is None else {"device": f"cuda:{other}"})


def check_jetson(case: Case) -> Rejection | None:
    """Refuses engines built on a Jetson with another version of its system (L4T)."""
    built_on = case.package.environment_requirements
    if not isinstance(built_on, JetsonEnvironmentRequirements):
        return None
    wanted, found = built_on.l4t_version, case.environment.l4t_version
    if found is not None and (found.major, found.minor) == (wanted.major, wanted.minor):
        return None
    here = "no Jetson" if case.environment.jetson is None else "a Jetson that does not say its L4T"
    needs = f"a Jetson with L4T {wanted.major}.{wanted.minor}"
    return case.refuse("jetson", needs, here if found is None else f"L4T {found}")


def check_engine_host_code(case: Case) -> Rejection | None:
    """Refuses engines that bring code for the host, unless `trt_engine_host_code_allowed=True`."""
    details = case.package.trt_package_details
    if details is None or not details.trt_forward_compatible:
        return None
    if details.trt_lean_runtime_excluded:
        found = "one that needs a lean runtime from elsewhere, which nothing here loads"
        return case.refuse("engine_host_code", "an engine with its lean runtime inside", found)
    if case.request.allow_engine_host_code:
        return None
    change = {"allow_engine_host_code": True}
    return case.refuse("engine_host_code", "a yes to the code for the host inside the engine", "none", change=change)


def check_torch_script_device(case: Case) -> Rejection | None:
    """Refuses archives that were not made for the kind of device they would run on."""
    details = case.package.torch_script_package_details
    if details is None:
        return None
    kind = device_kind(case)
    if kind in details.supported_device_types:
        return None
    supported = sorted(details.supported_device_types)
    here = ("cpu", "cuda") if case.environment.gpus else ("cpu",)
    usable = next((name for name in supported if name in here), None)
    needs = f"device {' or '.join(supported)}" if supported else "a kind of device, of which it states none"
    return case.refuse("torch_script_device", needs, kind, change=None if usable is None else {"device": usable})


def check_torch_version(case: Case) -> Rejection | None:
    """Refuses archives made with a newer PyTorch than the installed one."""
    details = case.package.torch_script_package_details
    installed = case.environment.installed.get("torch") or case.environment.runtimes.get(case.runtime)
    if details is None or installed is None:
        return None
    return _refuse_older(case, "torch", details.torch_version, installed)


def check_torchvision_version(case: Case) -> Rejection | None:
    """Refuses archives made with torchvision where it is missing or older."""
    details = case.package.torch_script_package_details
    if details is None or details.torch_vision_version is None:
        return None
    return _refuse_older(
        case, "torchvision", details.torch_vision_version, case.environment.installed.get("torchvision")
    )


def _refuse_older(case: Case, library: str, made_with: Version, installed: Version | None) -> Rejection | None:
    wanted = _public(made_with)
    if installed is not None and _public(installed) >= wanted:
        return None
    requirement = f"{library}>={wanted}"
    found = "not installed" if installed is None else str(installed)
    return case.refuse(f"{library}_version", requirement, found, f'pip install -U "{requirement}"')


@lru_cache(maxsize=64)
def _public(version: Version) -> Version:
    """Without `+cu128` and the like, which say for which device it was built and nothing about what it reads."""
    return Version(version.public)


def same_release(one: Version, other: Version) -> bool:
    """Whether two versions are equal as far as both say: packages name 10.3.0 where the library is 10.3.0.26."""
    known = min(len(one.release), len(other.release))
    return one.release[:known] == other.release[:known]


def normalized(gpu_name: str) -> str:
    """As packages spell the names of GPUs: `nvidia-l4`."""
    return gpu_name.strip().replace(" ", "-").lower()


def _shown(gpu: Gpu, *, with_capability: bool) -> str:
    name = gpu.name or "a GPU without a name"
    return f"{name} ({gpu.compute_capability or 'unknown'})" if with_capability else name
