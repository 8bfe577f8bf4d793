"""What negotiation chooses among: a package with the runtime that would open it, what a check sees, and the plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference_models.backends import find_runtime, runtimes_for
from inference_models.entities import LocalFileArtefactSpecs, format_text
from inference_models.errors import Rejection
from inference_models.negotiate.request import as_arguments
from inference_models.package.formats import FORMATS
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from inference_models.entities import BackendType, ModelMetadata, ModelPackageMetadata
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.request import PackageRequest


class Candidate(Record, frozen=True):
    """One package and one runtime that reads it."""

    package: ModelPackageMetadata
    runtime: BackendType

    @property
    def is_native(self) -> bool:
        """Whether the package is made for this runtime."""
        return self.package.backend is self.runtime

    @property
    def label(self) -> str:
        """As people call it: `best.onnx in OpenVINO`, `weights.onnx of 7c20 (fp16) in ONNX Runtime`."""
        return candidate_name(package_name(self.package), self.runtime)

    def rejection(self, check: str, needs: str, found: str, fix: str | None = None) -> Rejection:
        """A reason against this candidate."""
        runtime = None if self.is_native else self.runtime
        return Rejection(self.package.package_id, check, needs, found, fix, runtime)


def package_name(package: ModelPackageMetadata) -> str:
    """A package as people call it: `best.onnx` where it is a file of theirs, else `weights.onnx of 7c20 (fp16)`."""
    weights = FORMATS[package.backend].weights[0] if package.backend in FORMATS else ""
    handles = [item.file_handle for item in package.package_artefacts]
    local = (item for item in package.package_artefacts if isinstance(item, LocalFileArtefactSpecs))
    paths = {item.file_handle: item.path for item in local}
    if weights in paths:
        return paths[weights].name
    if paths:
        return f"folder {next(iter(paths.values())).parent.name}"
    kind = format_text(package.backend, package.quantization)
    if weights not in handles:
        return f"package {package.package_id} ({kind})"
    _, _, number_format = kind.partition(" ")
    return f"{weights} of {package.package_id}" + (f" ({number_format})" if number_format else "")


def candidate_name(package: str, runtime: BackendType) -> str:
    """A package of this name in a runtime."""
    return f"{package} in {find_runtime(runtime).label}"


def setting_name(threads: int | None, execution_providers: Sequence[Any] | None) -> str:
    """`2 threads, CPUExecutionProvider`; empty where all is left to the runtime."""
    count = [] if threads is None else ["1 thread" if threads == 1 else f"{threads} threads"]
    return ", ".join([*count, *(each if isinstance(each, str) else each[0] for each in execution_providers or ())])


def candidates_of(model: ModelMetadata) -> Iterator[Candidate]:
    """Every package with every runtime that reads it, in the order of the packages."""
    for package in model.model_packages:
        for runtime in runtimes_for(package.backend):
            yield Candidate(package, runtime)


class Case:
    """A candidate for one request on one machine, which a check examines."""

    def __init__(
        self, model: ModelMetadata, candidate: Candidate, request: PackageRequest, environment: Environment
    ) -> None:
        self.model = model
        self.candidate = candidate
        self.package, self.runtime = candidate.package, candidate.runtime
        self.request = request
        self.environment = environment

    @property
    def is_named(self) -> bool:
        """Whether the caller asked for this very package: defaults, which guess what is wanted, then say nothing."""
        return self.request.package_id == self.package.package_id

    def refuse(
        self, check: str, needs: str, found: str, fix: str | None = None, *, change: Mapping[str, Any] | None = None
    ) -> Rejection:
        """The refusal of this candidate; `change`, in place of a command: fields of the request that would help."""
        fix = fix if change is None else as_arguments(tuple(change.items()))
        return self.candidate.rejection(check, needs, found, fix)


class Plan(Record, frozen=True):
    """A candidate with the settings it is opened with; None: what the caller said, else the runtime's default."""

    candidate: Candidate
    threads: int | None = None
    execution_providers: tuple[Any, ...] | None = None


class Selection(Record, frozen=True):
    """Plans in the order in which they are tried."""

    plans: tuple[Plan, ...]
    reason: str
    """`order`, `measured` or `package id`."""
