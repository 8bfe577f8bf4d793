"""Measure the plans of a model, report, and remember the winner."""

from __future__ import annotations

import logging
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inference_models import config
from inference_models.backends import probe_environment
from inference_models.cache.workspace import private_folder, sweep
from inference_models.errors import (
    BaseInferenceModelsError,
    EnvironmentConfigurationError,
    ModelLoadingError,
    ModelRetrievalError,
    RetryError,
)
from inference_models.loading.address import LoadRequest, parse_address
from inference_models.loading.describe import describe_model
from inference_models.loading.open import fetch_package
from inference_models.loading.remember import RememberedModels
from inference_models.machine.child import can_start_children
from inference_models.measure.contest import Contest, ContestSetup
from inference_models.measure.job import Job
from inference_models.measure.report import NOT_FETCHED, TuneReport, notes_on, row_of, rows_of
from inference_models.measure.rounds import NOT_REACHED, Contender
from inference_models.measure.settings import LoadToMeasure, default_first, plans_to_measure
from inference_models.measure.store import Measurement, MeasurementStore, covers, name_candidate, name_plan, subject_of
from inference_models.negotiate.case import package_name
from inference_models.negotiate.explain import choose_packages
from inference_models.parity.images import probe_images
from inference_models.record import Record, replace
from inference_models.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from inference_models.arrays import NumpyArray
    from inference_models.measure.report import TuneRow
    from inference_models.measure.store import Subject
    from inference_models.negotiate.case import Plan
    from inference_models.negotiate.request import PackageRequest
    from inference_models.options import LoadOptions
    from inference_models.package.folder import PackageFolder

_log = logging.getLogger("inference-models")
DEFAULT_BUDGET_S = 60.0


class TuneOptions(Record, frozen=True, kw_only=True):
    """Options of a measurement."""

    budget: float = DEFAULT_BUDGET_S
    """Seconds; fetching comes before."""
    images: Sequence[NumpyArray] = ()
    """(H, W, 3) uint8 BGR pictures of the kind the model will see; none: those that come with the library."""
    progress: Callable[[str, float], None] | None = None


def tune_model(
    model_id: str, request: PackageRequest, options: LoadOptions, *, api_key: str | None, how: TuneOptions
) -> TuneReport:
    """What is fastest for a model on this machine, measured now; a load with the same request takes it from then on.

    Raises:
        ModelNotFoundError: no provider knows the id.
        NoCompatiblePackageError: nothing of it can run here.
        EnvironmentConfigurationError: this program cannot start processes to measure in.
    """
    load = LoadRequest(options=replace(options, select="measured"), wanted=request, device=request.device, extra={})
    memory = RememberedModels(load, probe_environment(), enabled=True)
    with describe_model(parse_address(model_id, api_key=api_key), load, api_key=api_key, memory=memory) as found:
        model, source = found
        choice = choose_packages(model, request, memory.environment)
        report = tune(LoadToMeasure(model, source, choice, load, memory), how)
        winner = report.winner
        if winner is not None and not source.is_remembered:
            chosen = winner.package_id if report.remembered else None
            memory.remember(source, model, chosen)
        return report


def tune(asking: LoadToMeasure, options: TuneOptions) -> TuneReport:
    """What every plan does on this machine; the winner is remembered.

    Raises:
        EnvironmentConfigurationError: this program cannot start processes to measure in, or write what they need.
    """
    if not can_start_children():
        raise EnvironmentConfigurationError(
            "candidates cannot be measured here.",
            needs="a Python interpreter that can be started again",
            found="a program that was frozen into one executable",
            fix="measure with the command line of an ordinary installation: inference-models tune",
        )
    plans = plans_to_measure(asking.choice, asking.load, asking.memory.environment)
    jobs, absent = _fetched(asking, plans)
    contenders = [Contender(position, job.plan) for position, job in jobs.items()]
    numbers = {position: number for number, position in enumerate(jobs)}
    looks = [numbers[position] for position in default_first(plans) if position in numbers]
    asked_for = asking.memory.load.wanted.quantizations or frozenset()
    with _work_folder(options) as (folder, pictures, timed):
        arena = ContestSetup(folder, pictures, timed, options.budget, options.progress or (lambda *_: None), asked_for)
        contest = Contest(contenders, jobs, arena)
        contest.run(looks)
    subject = subject_of(asking.model, asking.source.name, asking.load, asking.memory)
    report = _report(subject, contest, rows_of(contest, absent), options.budget)
    return report if contest.winner is None else _remembered(asking, subject, contest, contest.winner.plan, report)


def _fetched(asking: LoadToMeasure, plans: Sequence[Plan]) -> tuple[dict[int, Job], list[TuneRow]]:
    """The plans whose packages are here, by position, and rows for the others. Children need no network and no key."""
    folders: dict[str, PackageFolder | BaseInferenceModelsError] = {}
    jobs, absent = {}, []
    for position, plan in enumerate(plans):
        package = plan.candidate.package
        if package.package_id not in folders:
            try:
                folders[package.package_id] = fetch_package(asking.model, package, asking.source)
            except (EnvironmentConfigurationError, ModelRetrievalError, ModelLoadingError, RetryError) as exc:
                _log.warning("%r: %s is not measured: %s", asking.model.model_id, package_name(package), exc)
                folders[package.package_id] = exc
        folder = folders[package.package_id]
        if isinstance(folder, BaseInferenceModelsError):
            absent.append(row_of(plan, NOT_FETCHED, f"could not be fetched: {folder.summary}"))
        else:
            jobs[position] = Job(asking.model, plan, folder, asking.load)
    return jobs, absent


@contextmanager
def _work_folder(options: TuneOptions) -> Iterator[tuple[Path, list[str], int]]:
    """A private folder with the pictures as arrays, their paths, and how many of them are timed.

    It is below the cache, which is swept after a process that was ended by force; else where the system has its own.

    Raises:
        EnvironmentConfigurationError: neither can be written to.
    """
    parent = config.cache_directory() / "tmp"
    sweep(parent)
    reason = ""
    with ExitStack() as stack:
        for place in (private_folder(parent), _system_folder()):
            try:
                folder = stack.enter_context(place)
                written = _written_pictures(folder, options)
                break
            except OSError as exc:
                reason = exc.strerror or str(exc)
        else:
            raise EnvironmentConfigurationError(
                "candidates cannot be measured here.",
                needs="a temporary folder with room",
                found=reason,
                fix="set TMPDIR to a folder you may write to",
            )
        yield folder, *written


@contextmanager
def _system_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="inference-models-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _written_pictures(folder: Path, options: TuneOptions) -> tuple[list[str], int]:
    """The pictures as files with arrays, and how many of the first are the caller's, which are timed."""
    made = probe_images()
    paths = []
    for number, image in enumerate([*options.images, *made]):
        path = folder / f"image-{number}.npy"
        np.save(path, image)
        paths.append(str(path))
    return paths, len(options.images)


def _report(subject: Subject, contest: Contest, rows: tuple[TuneRow, ...], budget: float) -> TuneReport:
    reference = contest.reference
    return TuneReport(
        model_id=subject.model_id,
        provider=subject.provider,
        created_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        library_version=__version__,
        machine=subject.machine,
        budget=budget,
        seconds=round(contest.seconds, 3),
        images=0 if reference is None else contest.pictures_compared,
        reference=None if reference is None else reference.plan.candidate.label,
        busy=round(contest.busy, 3),
        rows=rows,
        notes=notes_on(contest, budget),
    )


def _remembered(
    asking: LoadToMeasure, subject: Subject, contest: Contest, winner: Plan, report: TuneReport
) -> TuneReport:
    """`report`, saying whether later loads will take the winner."""
    looked_at = (name_candidate(each.plan.candidate) for each in contest.contenders if each.status != NOT_REACHED)
    measurement = Measurement(
        subject=subject,
        created_at=datetime.fromisoformat(report.created_at),
        library_version=report.library_version,
        budget=report.budget,
        winner=name_plan(winner),
        busy=report.busy,
        looked_at=tuple(dict.fromkeys(looked_at)),
        # What a candidate wrote last may hold anything.
        table=tuple(asdict(replace(row, last_lines=())) for row in report.rows),
    )
    try:
        MeasurementStore().facts.write(subject.key, measurement)
    except OSError as exc:
        reason = exc.strerror or str(exc)
        _log.warning("what is fastest for %r could not be remembered: %s", subject.model_id, reason)
        return replace(report, notes=(*report.notes, f"it could not be remembered: {reason}"))
    source, memory = asking.source, asking.memory
    if covers(measurement.looked_at, memory.last_candidates(source) or asking.choice.admissible):
        memory.remember_choice(source, winner.candidate.package.package_id)
    if covers(measurement.looked_at, memory.candidates_to_measure(source, asking.choice)):
        return replace(report, remembered=True)
    note = "not every candidate could be looked at: the declared order holds for later loads until all were measured"
    return replace(report, notes=(*report.notes, note))
