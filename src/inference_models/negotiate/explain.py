"""From the outcome of a negotiation to its report, and to the text of the error or the log. Nothing is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import field

from inference_models.entities import BackendType, FileDownloadSpecs, InlineFileSpecs, LocalFileArtefactSpecs
from inference_models.errors import NoCompatiblePackageError, NoModelPackagesAvailableError
from inference_models.negotiate.case import Plan, package_name
from inference_models.negotiate.choose import negotiate
from inference_models.negotiate.facts import CandidateReport, ModelFacts, PackageFile, PackageReport, Step, WouldRun
from inference_models.negotiate.report import NegotiationReport, outcome_lines
from inference_models.package.formats import needs_consent
from inference_models.record import Record, replace
from inference_models.text import size_text, without_query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from inference_models.entities import ArtefactSpecs, ModelMetadata, ModelPackageMetadata
    from inference_models.errors import Rejection
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.case import Candidate, Selection
    from inference_models.negotiate.choose import Choice
    from inference_models.negotiate.request import PackageRequest

NETWORK, CONSENT, PARITY = "network", "consent", "parity"
"""Names of checks that only reports make, of what a load refuses later: when it fetches, and when it opens."""
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


class Circumstances(Record, frozen=True, kw_only=True):
    """Facts besides the description, the request and the machine: cache, consent, remembered choices, parity."""

    provider: str | None = None
    stored: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Package id -> handles of its files that the cache holds."""
    network_forbidden_by: str | None = None
    code_consent: bool = True
    """Whether the caller consents to the code of a package; to which code, only a load compares."""
    loaded_before: str | None = None
    """Id of the package that an earlier load of the same request opened."""
    fastest: Plan | None = None
    """What an earlier measurement found fastest among those that fit."""
    to_be_measured: bool = False
    """Whether a load would measure where that is not known yet."""
    unproven: Callable[[Plan], Rejection | None] = field(default=lambda _: None)
    """The rejection of a plan that parity does not vouch for; None: it does, or parity is not required."""


def make_report(choice: Choice, circumstances: Circumstances | None = None) -> NegotiationReport:
    """What would run, why, and why not the rest."""
    known = circumstances or Circumstances(code_consent=choice.request.code_consent)
    model = choice.model
    files = {id(package): _files(package, known) for package in model.model_packages}
    listed = _best_first(choice, files, known)
    # Two packages may have the same id; each is reported on its own.
    packages = {id(candidate.package): candidate.package for candidate, _ in listed}
    grouped: dict[int, list[CandidateReport]] = {key: [] for key in packages}
    for candidate, report in listed:
        grouped[id(candidate.package)].append(report)
    reports = [report for _, report in listed]
    return NegotiationReport(
        model=_facts(model, known),
        machine=choice.environment,
        request=choice.request,
        would_run=_would_run(reports, choice, known),
        packages=tuple(_package(package, files[key], grouped[key]) for key, package in packages.items()),
        skipped_packages=model.skipped_packages,
        steps=find_steps(reports),
    )


def planned(plan: Plan, reason: str) -> WouldRun:
    """What a plan opens."""
    candidate = plan.candidate
    return WouldRun(candidate.package.package_id, candidate.runtime, reason, plan.threads, plan.execution_providers)


def find_steps(candidates: Iterable[CandidateReport]) -> tuple[Step, ...]:
    """What would make candidates run that do not: fewest first, then in the order of `candidates`.

    A candidate counts when every reason against it has a fix. The same fixes for several are one step.
    """
    makes_run: dict[tuple[str, ...], list[tuple[str, BackendType]]] = {}
    for candidate in candidates:
        fixes = [reason.fix for reason in candidate.rejections]
        if not candidate.admissible and fixes and all(fixes):
            each_once = tuple(dict.fromkeys(fix for fix in fixes if fix))
            makes_run.setdefault(each_once, []).append((candidate.package_id, candidate.backend))
    return tuple(Step(fixes, tuple(makes_run[fixes])) for fixes in sorted(makes_run, key=len))


def _best_first(
    choice: Choice, files: Mapping[int, Sequence[PackageFile]], known: Circumstances
) -> list[tuple[Candidate, CandidateReport]]:
    """Every candidate, best first: those that would run, then the others."""
    reasons: dict[int, tuple[Rejection, ...]] = {}
    fitting: list[Candidate] = []
    others: list[Candidate] = []
    for verdict in choice.verdicts:
        candidate, fastest = verdict.candidate, known.fastest
        plan = fastest if fastest is not None and fastest.candidate == candidate else Plan(candidate)
        unproven = known.unproven(plan)
        later = [*_later_refusals(candidate, files[id(candidate.package)], known), *([unproven] if unproven else [])]
        reasons[id(candidate)] = (*verdict.rejections, *later)
        (fitting if verdict.runs and not later else others).append(candidate)
    reports = []
    for position, candidate in enumerate([*fitting, *choice.ranked(others)], 1):
        rank = position if position <= len(fitting) else None
        report = CandidateReport(
            candidate.package.package_id, candidate.runtime, candidate.is_native, reasons[id(candidate)], rank
        )
        reports.append((candidate, report))
    return reports


def _later_refusals(candidate: Candidate, files: Sequence[PackageFile], known: Circumstances) -> Iterable[Rejection]:
    """What a load would stumble over after the negotiation."""
    if needs_consent(candidate.package) and not known.code_consent:
        fix = 'allow_local_code_packages="sha256:..." (a load names it)'
        yield candidate.rejection(CONSENT, "your consent to the code it brings", "none", fix)
    switch = known.network_forbidden_by
    remote = {file.handle: file for file in files if file.place == "remote"}
    if switch is not None and any(_is_far(item, remote) for item in candidate.package.package_artefacts):
        needs = f"the network, to fetch {size_text(sum(file.size or 0 for file in remote.values()))}"
        yield candidate.rejection(NETWORK, needs, f"{switch} is set", f"unset {switch}")


def _is_far(item: ArtefactSpecs, remote: Mapping[str, PackageFile]) -> bool:
    """Whether a file has to be fetched from another machine."""
    return (
        isinstance(item, FileDownloadSpecs) and item.file_handle in remote and not item.download_url.startswith("file:")
    )


def _would_run(candidates: Sequence[CandidateReport], choice: Choice, known: Circumstances) -> WouldRun | None:
    """The plan a load would try first, and why that one."""
    admissible = [candidate for candidate in candidates if candidate.admissible]
    if not admissible:
        return None
    if known.fastest is not None:
        measured = planned(known.fastest, "measured")
        if any((item.package_id, item.backend) == (measured.package_id, measured.backend) for item in admissible):
            return measured
    chosen, reason = admissible[0], "order"
    if known.to_be_measured:
        reason = "unmeasured"
    elif choice.request.package_id is not None:
        reason = "package id"
    elif before := [item for item in admissible if item.package_id == known.loaded_before]:
        chosen, reason = before[0], "remembered"
    return WouldRun(chosen.package_id, chosen.backend, reason)


def _facts(model: ModelMetadata, known: Circumstances) -> ModelFacts:
    needed = model.model_dependencies or ()
    return ModelFacts(
        model_id=without_query(model.model_id),
        provider=known.provider,
        architecture=model.model_architecture,
        task=model.task_type,
        variant=model.model_variant,
        license=model.license,
        source=model.source,
        description=model.description,
        dependencies=tuple(replace(item, model_id=without_query(item.model_id)) for item in needed),
    )


def _package(
    package: ModelPackageMetadata, files: tuple[PackageFile, ...], candidates: Sequence[CandidateReport]
) -> PackageReport:
    return PackageReport(
        package_id=package.package_id,
        name=package_name(package),
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
        try:
            return PackageFile(item.file_handle, item.path.stat().st_size, "local")
        except OSError:
            return PackageFile(item.file_handle, None, "local")
    place = "cache" if item.file_handle in stored else "remote"
    return PackageFile(item.file_handle, item.size, place, item.sha256_hash)


@dataclass(frozen=True, repr=False)
class _Refusal:
    """The message of an error: its words are made when it is printed."""

    choice: Choice

    def __str__(self) -> str:
        return choice_text(self.choice)

    def __repr__(self) -> str:
        return f"<{self.choice.model.model_id!r}: nothing of {len(self.choice.verdicts)} candidates>"


def refusal(choice: Choice) -> NoModelPackagesAvailableError:
    """The error for a negotiation in which nothing can run, with every reason."""
    if not choice.verdicts:
        return NoModelPackagesAvailableError(f"model {choice.model.model_id!r} exists but has no packages.")
    return NoCompatiblePackageError(_Refusal(choice), rejections=choice.rejections)


def choose_packages(model: ModelMetadata, request: PackageRequest, environment: Environment) -> Choice:
    """As `negotiate`, where at least one candidate can run; everything else is raised."""
    choice = negotiate(model, request, environment)
    if not choice.admissible:
        raise refusal(choice)
    return choice


def choice_text(choice: Choice, selection: Selection | None = None) -> str:
    """What an error says when nothing fits, and the log of what is tried first: no facts about the model."""
    report = make_report(choice)
    if selection is not None:
        report = replace(report, would_run=planned(selection.plans[0], selection.reason))
    return "\n".join(outcome_lines(report))
