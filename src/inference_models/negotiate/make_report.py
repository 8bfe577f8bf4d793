"""From a description, a request and a machine to the report about them. Nothing is read, fetched or written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inference_models.entities import BackendType, FileDownloadSpecs, InlineFileSpecs, LocalFileArtefactSpecs
from inference_models.errors import NoCompatiblePackageError, Rejection
from inference_models.negotiate.candidate import candidates_of
from inference_models.negotiate.checks import Case
from inference_models.negotiate.choose import choose_packages, judge
from inference_models.negotiate.layout import size_text
from inference_models.negotiate.plan import Plan
from inference_models.negotiate.rank import ranked
from inference_models.negotiate.report import (
    CandidateReport,
    ModelFacts,
    NegotiationReport,
    PackageFile,
    PackageReport,
    WouldRun,
)
from inference_models.negotiate.steps import find_steps
from inference_models.text import without_query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from inference_models.entities import ArtefactSpecs, ModelMetadata, ModelPackageMetadata
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.candidate import Candidate
    from inference_models.negotiate.choose import Choice
    from inference_models.negotiate.request import PackageRequest

NETWORK, CONSENT, PARITY = "network", "consent", "parity"
"""Names of checks that only reports make, of what a load refuses later: when it fetches, and when it opens."""
NO_PLACES: Mapping[str, frozenset[str]] = {}
_DETAILS = {
    "onnx": "onnx_package_details",
    "tensorrt": "trt_package_details",
    "torch_script": "torch_script_package_details",
    "environment": "environment_requirements",
    "features": "model_features",
    "recommended": "recommended_parameters",
    "memory": "memory_profile",
}
"""Name in the report -> field of the package."""


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What decides besides the description, the request and the machine."""

    provider: str | None = None
    stored: Mapping[str, frozenset[str]] = field(default_factory=lambda: NO_PLACES)
    """Package id -> handles of its files that the cache holds."""
    network_forbidden_by: str | None = None
    code_consent: bool = False
    """Whether the caller consents to the code of a package; to which code, only a load compares."""
    loaded_before: str | None = None
    """Id of the package that an earlier load of the same request opened."""
    fastest: Callable[[Choice], Plan | None] = field(default=lambda _: None)
    """What an earlier measurement found fastest among those that fit."""
    to_be_measured: bool = False
    """Whether a load would measure where that is not known yet."""
    unproven: Callable[[Plan], Rejection | None] = field(default=lambda _: None)
    """Why a load would not believe what a plan answers; None: it would, or asks for no proof."""


def make_report(
    model: ModelMetadata,
    request: PackageRequest,
    environment: Environment,
    circumstances: Circumstances | None = None,
) -> NegotiationReport:
    """What would run, why, and why not the rest.

    Raises:
        NoModelPackagesAvailableError: the request names a package that the model does not have.
        AmbiguousModelPackageResolutionError: the request names an id that several packages have.
    """
    known = circumstances or Circumstances()
    choice = _choice(model, request, environment)
    files = {id(package): _files(package, known) for package in model.model_packages}
    candidates = _candidates(_Negotiated(model, request, environment, choice), files, known)
    # Two packages may have the same id; each is told on its own.
    by_package: dict[int, tuple[ModelPackageMetadata, list[CandidateReport]]] = {}
    for candidate, told in candidates:
        by_package.setdefault(id(candidate.package), (candidate.package, []))[1].append(told)
    reports = [told for _, told in candidates]
    return NegotiationReport(
        model=_facts(model, known),
        machine=environment,
        request=request,
        would_run=_would_run(reports, request, choice, known),
        packages=tuple(_package(package, files[id(package)], found) for package, found in by_package.values()),
        skipped_packages=model.skipped_packages,
        steps=find_steps(reports),
    )


@dataclass(frozen=True)
class _Negotiated:
    model: ModelMetadata
    request: PackageRequest
    environment: Environment
    choice: Choice | None

    def ranked(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        return ranked(Case(self.model, candidate, self.request, self.environment) for candidate in candidates)

    def plan_of(self, candidate: Candidate, known: Circumstances) -> Plan:
        """How a load would open a candidate: what was measured fastest with its settings, others as they are."""
        fastest = None if self.choice is None else known.fastest(self.choice)
        return fastest if fastest is not None and fastest.candidate == candidate else Plan(candidate)


def _choice(model: ModelMetadata, request: PackageRequest, environment: Environment) -> Choice | None:
    """What a load would choose from; None when nothing fits."""
    if not model.model_packages:
        return None
    try:
        return choose_packages(model, request, environment)
    except NoCompatiblePackageError:
        return None


def _candidates(
    negotiated: _Negotiated, files: Mapping[int, Sequence[PackageFile]], known: Circumstances
) -> list[tuple[Candidate, CandidateReport]]:
    """Every candidate, best first: those that would run, then the others."""
    reasons = {
        (id(candidate.package), candidate.runtime): (
            *found,
            *_later_refusals(candidate, files[id(candidate.package)], known),
            *(reason for reason in (known.unproven(negotiated.plan_of(candidate, known)),) if reason is not None),
        )
        for candidate, found in judge(negotiated.model, negotiated.request, negotiated.environment)
    }
    chosen = () if negotiated.choice is None else negotiated.choice.admissible
    fitting = [
        candidate for candidate in chosen if not _is_out_of_reach(reasons[id(candidate.package), candidate.runtime])
    ]
    taken = {(id(candidate.package), candidate.runtime) for candidate in fitting}
    rest = [
        candidate
        for candidate in candidates_of(negotiated.model)
        if (id(candidate.package), candidate.runtime) not in taken
    ]
    told = []
    for position, candidate in enumerate([*fitting, *negotiated.ranked(rest)], 1):
        refusals = reasons[id(candidate.package), candidate.runtime]
        rank = position if position <= len(fitting) else None
        package_id = candidate.package.package_id
        told.append((candidate, CandidateReport(package_id, candidate.runtime, candidate.is_native, refusals, rank)))
    return told


def _is_out_of_reach(reasons: Iterable[Rejection]) -> bool:
    return any(reason.check in {NETWORK, CONSENT, PARITY} for reason in reasons)


def _facts(model: ModelMetadata, known: Circumstances) -> ModelFacts:
    return ModelFacts(
        model_id=without_query(model.model_id),
        provider=known.provider,
        architecture=model.model_architecture,
        task=model.task_type,
        variant=model.model_variant,
        license=model.license,
        source=model.source,
        description=model.description,
        dependencies=tuple(
            item.model_copy(update={"model_id": without_query(item.model_id)})
            for item in model.model_dependencies or ()
        ),
    )


def _later_refusals(candidate: Candidate, files: Sequence[PackageFile], known: Circumstances) -> Iterable[Rejection]:
    """What a load would stumble over after the negotiation."""
    name, runtime = candidate.package.package_id, None if candidate.is_native else candidate.runtime
    if candidate.package.backend is BackendType.CUSTOM and not known.code_consent:
        fix = 'allow_local_code_packages="sha256:..." (a load names it)'
        yield Rejection(name, CONSENT, "your consent to the code it brings", "none", fix, runtime)
    switch = known.network_forbidden_by
    remote = {file.handle: file for file in files if file.place == "remote"}
    if switch is not None and any(_is_far(item, remote) for item in candidate.package.package_artefacts):
        needs = f"the network, to fetch {size_text(sum(file.size or 0 for file in remote.values()))}"
        yield Rejection(name, NETWORK, needs, f"{switch} is set", f"unset {switch}", runtime)


def _is_far(item: ArtefactSpecs, remote: Mapping[str, PackageFile]) -> bool:
    """Whether a file has to be fetched from another machine."""
    return (
        isinstance(item, FileDownloadSpecs) and item.file_handle in remote and not item.download_url.startswith("file:")
    )


def _would_run(
    candidates: Sequence[CandidateReport], request: PackageRequest, choice: Choice | None, known: Circumstances
) -> WouldRun | None:
    """The plan a load would try first, and why that one."""
    admissible = [candidate for candidate in candidates if candidate.admissible]
    if not admissible or choice is None:
        return None
    plan = known.fastest(choice)
    if plan is not None and _find(admissible, plan.candidate.package.package_id, plan.candidate.runtime) is not None:
        package_id, runtime = plan.candidate.package.package_id, plan.candidate.runtime
        return WouldRun(package_id, runtime, "measured", plan.threads, plan.execution_providers)
    best = admissible[0]
    if known.to_be_measured:
        return WouldRun(best.package_id, best.backend, "unmeasured")
    if request.package_id is not None:
        return WouldRun(best.package_id, best.backend, "package id")
    before = None if known.loaded_before is None else _find(admissible, known.loaded_before)
    chosen = before or best
    return WouldRun(chosen.package_id, chosen.backend, "order" if before is None else "remembered")


def _find(
    candidates: Sequence[CandidateReport], package_id: str, runtime: BackendType | None = None
) -> CandidateReport | None:
    fitting = (item for item in candidates if item.package_id == package_id and runtime in {None, item.backend})
    return next(fitting, None)


def _package(
    package: ModelPackageMetadata, files: tuple[PackageFile, ...], candidates: Sequence[CandidateReport]
) -> PackageReport:
    return PackageReport(
        package_id=package.package_id,
        format=package.backend,
        quantization=package.quantization,
        dynamic_batch=package.dynamic_batch_size_supported,
        static_batch=package.static_batch_size,
        trusted=package.trusted_source,
        details=_details(package),
        files=files,
        # Its own runtime first, as everywhere.
        candidates=tuple(sorted(candidates, key=lambda candidate: not candidate.native)),
    )


def _details(package: ModelPackageMetadata) -> dict[str, Any]:
    stated = {name: getattr(package, attribute) for name, attribute in _DETAILS.items()}
    if not package.memory_profile.peak_vram_mb:
        del stated["memory"]
    return {name: value for name, value in stated.items() if value is not None}


def _files(package: ModelPackageMetadata, known: Circumstances) -> tuple[PackageFile, ...]:
    stored = known.stored.get(package.package_id, frozenset())
    return tuple(_file(item, stored) for item in package.package_artefacts)


def _file(item: ArtefactSpecs, stored: frozenset[str]) -> PackageFile:
    if isinstance(item, InlineFileSpecs):
        return PackageFile(item.file_handle, len(item.text.encode()), "description")
    if isinstance(item, LocalFileArtefactSpecs):
        return PackageFile(item.file_handle, _size_on_disk(item), "local")
    place = "cache" if item.file_handle in stored else "remote"
    return PackageFile(item.file_handle, item.size, place, item.sha256_hash)


def _size_on_disk(item: LocalFileArtefactSpecs) -> int | None:
    try:
        return item.path.stat().st_size
    except OSError:
        return None
