"""Runs the packages of a model one after the other on the same images and says which of them answer alike."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from inference_models.backends.environment import probe_environment
from inference_models.entities import BackendType, Quantization
from inference_models.errors import InvalidParameterError
from inference_models.loading.address import parse_address
from inference_models.loading.describe import describe_model
from inference_models.loading.open import LoadRequest
from inference_models.loading.remember import RememberedModels
from inference_models.negotiate.choose import choose_packages
from inference_models.negotiate.request import PackageRequest
from inference_models.options import LoadOptions
from inference_models.parity.bench import Bench, Reference
from inference_models.parity.images import ImageSet, probe_set

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from inference_models.negotiate.case import Candidate
    from inference_models.parity.report import ParityReport

ANY_PACKAGE = PackageRequest()


@dataclass(frozen=True, kw_only=True)
class ParityOptions:
    """What is compared with what, and on which images."""

    reference: str | None = None
    """`PACKAGE` or `PACKAGE/BACKEND`; None: the first fp32 package on ONNX Runtime, on the CPU."""
    images: ImageSet | None = None
    """None: those that come with the library."""
    request: PackageRequest = ANY_PACKAGE
    """Which packages are compared with the reference. The reference itself need not be one of them."""
    execution_providers: tuple[Any, ...] | None = None
    load: LoadOptions = field(default_factory=LoadOptions)
    api_key: str | None = None


def check_parity(
    model: str | os.PathLike[str],
    options: ParityOptions | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> ParityReport:
    """How far the packages of `model` that fit this machine are from the reference; the certificates are kept.

    Each package is opened, asked and closed before the next one is opened.

    Args:
        model: A model id or path.
        options: What is compared.
        progress: Called with the name of each package before it is opened.

    Raises:
        NoCompatiblePackageError: nothing of it can run here.
        InvalidParameterError: the reference that was named is none of the packages that can.
        ModelInputError: an image cannot be used.
        ModelLoadingError: the reference does not open; any other failure of it is raised as well.
    """
    options = options or ParityOptions()
    environment = probe_environment()
    load = LoadRequest(
        options=options.load,
        wanted=options.request,
        device=options.request.device,
        execution_providers=options.execution_providers,
    )
    memory = RememberedModels(load, environment, enabled=False)
    address = parse_address(model, api_key=options.api_key)
    with describe_model(address, load, api_key=options.api_key, memory=memory) as (metadata, source):
        everything = replace(options.request, backends=None, quantizations=None, package_id=None)
        wider = choose_packages(metadata, everything, environment).admissible
        compared = choose_packages(metadata, options.request, environment).admissible
        bench = Bench(metadata, source, load, environment, options.images or probe_set(), progress or _quietly)
        return bench.run(pick_references(wider, options.reference), compared)


def pick_references(candidates: Sequence[Candidate], named: str | None) -> list[Reference]:
    """What the others are compared with: what was named, else what there is most reason to believe, first choice first.

    Raises:
        InvalidParameterError: the one that was named is not among the candidates.
    """
    if named is None:
        return [_as_reference(candidate) for candidate in sorted(candidates, key=lambda item: not _is_onnx_fp32(item))]
    package_id, _, backend = named.partition("/")
    for candidate in candidates:
        if candidate.package.package_id == package_id and backend in {"", candidate.runtime.value}:
            return [Reference(candidate, "as asked for", named=True)]
    raise InvalidParameterError(
        f"--reference {named!r} is none of the packages that can run here.",
        needs=", ".join(f"{item.package.package_id}/{item.runtime.value}" for item in candidates),
        found=repr(named),
    )


def _as_reference(candidate: Candidate) -> Reference:
    if _is_onnx_fp32(candidate):
        return Reference(candidate, "the first fp32 package on ONNX Runtime, on the CPU", on_cpu=True)
    return Reference(candidate, "the first in the declared order, for none that says fp32 runs on ONNX Runtime here")


def _is_onnx_fp32(candidate: Candidate) -> bool:
    return candidate.runtime is BackendType.ONNX and candidate.package.quantization is Quantization.FP32


def _quietly(_: str) -> None:
    """Nobody wants to know."""
