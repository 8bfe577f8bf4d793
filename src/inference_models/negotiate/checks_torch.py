"""Checks of TorchScript archives: the device they were traced for, and the versions they were made with."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.version import Version

from inference_models.negotiate.checks_machine import device_kind

if TYPE_CHECKING:
    from inference_models.errors import Rejection
    from inference_models.negotiate.checks import Case


def check_torch_script_device(case: Case) -> Rejection | None:
    """Refuses archives that were not made for the kind of device they would run on."""
    details = case.package.torch_script_package_details
    if details is None:
        return None
    kind = device_kind(case)
    if kind in details.supported_device_types:
        return None
    supported = sorted(details.supported_device_types)
    usable = next((name for name in supported if name in {"cpu", "cuda", "mps"}), None)
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
