"""What negotiation found, as one frozen value that is printed, rendered or written as JSON."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from dataclasses import fields
from typing import TYPE_CHECKING

from inference_models.errors import NoModelPackagesAvailableError, nearest_hint
from inference_models.negotiate.case import candidate_name, setting_name
from inference_models.negotiate.facts import Step, as_plain
from inference_models.record import Record, replace
from inference_models.text import one_line, plain, size_text
from inference_models.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from inference_models.entities import BackendType, SkippedPackage
    from inference_models.errors import Rejection
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.facts import (
        CandidateReport,
        Download,
        ModelFacts,
        PackageReport,
        Plain,
        WouldRun,
    )
    from inference_models.negotiate.request import PackageRequest

SCHEMA_VERSION = 1
"""Of `to_dict`: grows when a key goes or gets another meaning; keys may be added."""
WIDTH = 100
"""Columns where no terminal says how wide it is."""
UNWRAPPED = 1 << 20
"""Columns where lines are as long as they are."""
NARROWEST = 60
"""Columns below which texts are not wrapped any further."""
SHOWN_STEPS = 3
MANY = 4
"""So many packages with the same reasons are shown as one."""
NO_STEPS = "it takes another machine, another export of the model or another release of this library"
"""The text shown where no command and no argument helps."""
_NAME_COLUMN = 15
_INDENT = _NAME_COLUMN + 2
_NOT_WANTED = "backend"
"""The check that refuses a runtime because the caller does not want it: no alternative to tell about."""
_ARGUMENT = re.compile(r"[a-z_]+=")
_WHY = {
    "measured": "the fastest measured on this machine",
    "order": "the best in the declared order",
    "package id": "the package you named",
    "remembered": "the package that was loaded before",
    "unmeasured": "the best in the declared order; all that fit would be measured first",
}
_PLACES = {"cache": "stored", "description": "part of the description", "local": "on this machine"}
_DETAIL_NAMES = {"environment": "built on", "torch_script": "TorchScript", "tensorrt": "TensorRT", "onnx": "ONNX"}
_FACT_NAMES = {
    "cuda_device_cc": "compute capability",
    "cuda_device_name": "",
    "cuda_version": "CUDA",
    "driver_version": "driver",
    "jetson_product_name": "",
    "l4t_version": "L4T",
    "os_version": "",
    "trt_version": "TensorRT",
}
"""How facts are named; an empty name: the value is shown alone."""


class NegotiationReport(Record, frozen=True, kw_only=True):
    """What would run, why, and why not the rest. `print(report)` shows it, `report.to_dict()` is for JSON."""

    model: ModelFacts
    machine: Environment
    request: PackageRequest
    would_run: WouldRun | None
    """None: nothing would."""
    packages: tuple[PackageReport, ...]
    """Best first; those that would not run come last."""
    skipped_packages: tuple[SkippedPackage, ...]
    """Announced packages that this release cannot make sense of."""
    steps: tuple[Step, ...]
    """Fewest first, then best first."""

    @property
    def candidates(self) -> Iterator[CandidateReport]:
        """Those of every package."""
        return (candidate for package in self.packages for candidate in package.candidates)

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """Every reason against every candidate."""
        return tuple(reason for candidate in self.candidates for reason in candidate.rejections)

    @property
    def download(self) -> Download | None:
        """What loading the model would fetch; None when nothing would run."""
        return None if self.would_run is None else self.package(self.would_run.package_id).download

    def package(self, package_id: str) -> PackageReport:
        """The package with this id.

        Raises:
            NoModelPackagesAvailableError: there is none; the text names the nearest.
        """
        for package in self.packages:
            if package.package_id == package_id:
                return package
        hint = nearest_hint(package_id, [package.package_id for package in self.packages])
        raise NoModelPackagesAvailableError(f"model {self.model.model_id!r} has no package {package_id!r}; {hint}.")

    def to_dict(self) -> dict[str, Plain]:
        """All of it for JSON, with the keys that the documentation lists."""
        return {
            "schema_version": SCHEMA_VERSION,
            "library_version": __version__,
            **{field.name: as_plain(getattr(self, field.name)) for field in fields(self)},
            "download": as_plain(self.download),
            "packages": [_package_dict(package) for package in self.packages],
            "steps": [_step_dict(step) for step in self.steps],
        }

    def render(self, console: Console) -> None:
        """Print it, as wide as `console` is."""
        print_lines(report_lines(self, width=console.width), console)

    def render_package(self, package_id: str, console: Console) -> None:
        """Print one package with its files, as wide as `console` is.

        Raises:
            NoModelPackagesAvailableError: there is no such package; the text names the nearest.
        """
        print_lines(package_lines(self, package_id, width=console.width), console)

    def __str__(self) -> str:
        return "\n".join(report_lines(self))


def _package_dict(package: PackageReport) -> dict[str, Plain]:
    candidates = [_candidate_dict(candidate) for candidate in package.candidates]
    computed = {"admissible": package.admissible, "download": as_plain(package.download), "candidates": candidates}
    return {**as_plain(package), **computed}


def _candidate_dict(candidate: CandidateReport) -> dict[str, Plain]:
    facts = {**as_plain(candidate), "admissible": candidate.admissible}
    del facts["package_id"]
    for reason in facts["rejections"]:
        del reason["package_id"], reason["runtime"]
    return facts


def _step_dict(step: Step) -> dict[str, Plain]:
    makes_run = [{"package_id": package_id, "backend": backend.value} for package_id, backend in step.makes_run]
    return {"fixes": list(step.fixes), "makes_run": makes_run}


def report_lines(report: NegotiationReport, *, width: int = WIDTH) -> list[str]:
    """The whole report: the model, what would run, every package, and the fewest steps to more."""
    model = report.model
    facts = [
        ("what", model.description),
        ("task", model.task),
        ("architecture", model.architecture),
        ("variant", model.variant),
        ("licence", model.license or "not stated"),
        ("source", model.source),
        ("provider", model.provider),
        *(("needs also", f"{item.name}: {item.model_id}") for item in model.dependencies),
        *_question(report),
    ]
    run = report.would_run
    if run is None:
        outcome = [("would run", "nothing")]
    else:
        to_fetch = _download(report.package(run.package_id).download)
        outcome = [("would run", _what_runs(report, run)), ("to fetch", to_fetch)]
    blocks = [_facts(facts, width), _facts(outcome, width), _packages(report, width), _steps(report, width)]
    return _separated([[_headline(report)], *blocks])


def outcome_lines(report: NegotiationReport) -> list[str]:
    """The same without facts about the model, unwrapped: for errors and logs, whose lines are searched."""
    facts = _question(report)
    if report.would_run is not None:
        facts = [*facts, ("would run", _what_runs(report, report.would_run))]
    blocks = [_facts(facts, UNWRAPPED), _packages(report, UNWRAPPED), _steps(report, UNWRAPPED)]
    return _separated([[_headline(report)], *blocks])


def package_lines(report: NegotiationReport, package_id: str, *, width: int = WIDTH) -> list[str]:
    """One package: how it was made, its files, and what every runtime makes of it.

    Raises:
        NoModelPackagesAvailableError: there is no such package.
    """
    package = report.package(package_id)
    own = (Step(step.fixes, tuple(item for item in step.makes_run if item[0] == package_id)) for step in report.steps)
    steps = tuple(step for step in own if step.makes_run)
    longest = max((len(one_line(file.handle)) for file in package.files), default=0)
    files = [
        f"{'':{_INDENT}}{one_line(file.handle):<{longest}}  {_file_note(file.size, file.place)}"
        for file in package.files
    ]
    made = _facts([("licence", report.model.license or "not stated"), *_details(package)], width)
    here = [
        *_fact("this machine", report.machine.describe(), width),
        *_named("runs here", _wrapped(_reasons(package.candidates), width)),
        *_fact("to fetch", _download(package.download), width),
    ]
    headline = f"package {one_line(package_id)} of {one_line(report.model.model_id)}: {_head(package)}"
    blocks = [[headline], [*made, *_named("files", files)], here, _steps(replace(report, steps=steps), width)]
    return _separated(blocks)


def print_lines(lines: Iterable[str], console: Console) -> None:
    """Print lines as they are, the first of them as a headline."""
    for index, line in enumerate(lines):
        console.print(plain(line), style="bold" if index == 0 else None, soft_wrap=True)


def _headline(report: NegotiationReport) -> str:
    count, name = len(report.packages), one_line(report.model.model_id)
    if not count:
        return f"{name}: the provider has no package that this release can read."
    plural = "package" if count == 1 else "packages"
    fitting = sum(package.admissible for package in report.packages)
    if not fitting:
        return f"{name}: none of {count} {plural} can run here." if count > 1 else f"{name}: cannot run here."
    return f"{name}: {fitting} of {count} {plural} can run here."


def _question(report: NegotiationReport) -> list[tuple[str, str]]:
    return [("this machine", report.machine.describe()), ("you asked for", report.request.describe())]


def _what_runs(report: NegotiationReport, run: WouldRun) -> str:
    """What is tried first and why, with the settings that were measured."""
    setting = setting_name(run.threads, run.execution_providers)
    name = _label(report, run.package_id, run.backend) + (f", {setting}" if setting else "")
    return f"{name}: {_WHY.get(run.reason, run.reason)}"


def _label(report: NegotiationReport, package_id: str, backend: BackendType) -> str:
    return one_line(candidate_name(report.package(package_id).name, backend))


def _download(download: Download) -> str:
    """`7.3 MB in 1 file`, with what is stored already."""
    if not download.files:
        where = f" ({size_text(download.stored_bytes)})" if download.stored_bytes else ""
        return f"nothing, every file is on this machine{where}"
    count = "1 file" if download.files == 1 else f"{download.files} files"
    if download.unsized_files == download.files:
        text = f"{count} of a size that the provider does not state"
    else:
        unsized = f", {download.unsized_files} of them of unknown size" if download.unsized_files else ""
        text = f"{size_text(download.bytes)} in {count}{unsized}"
    stored = f"; {size_text(download.stored_bytes)} are stored already" if download.stored_bytes else ""
    return text + stored


# Packages: accepted and refused ones in one list. Those with the same reasons are shown as one.


def _packages(report: NegotiationReport, width: int) -> list[str]:
    reasons = {id(package): _reasons(package.candidates) for package in report.packages}
    same = {
        id(package): package.package_id if package.admissible else (package.format, *reasons[id(package)])
        for package in report.packages
    }
    counts = Counter(same.values())
    groups: dict[object, list[PackageReport]] = {}
    for package in report.packages:
        key = same[id(package)]
        groups.setdefault(key if counts[key] >= MANY else id(package), []).append(package)
    lines = []
    for first, *others in groups.values():
        head = _head(first)
        if others:
            labels = ", ".join(dict.fromkeys(package.label for package in (first, *others)))
            head = f"{labels}, like {len(others)} more"
        lines += _named(first.title, _wrapped([head, *reasons[id(first)]], width))
    for item in report.skipped_packages:
        lines += _named(item.package_id, _wrapped([f"left out: {item.reason}"], width))
    return lines


def _head(package: PackageReport) -> str:
    """`onnx fp32, dynamic batch, 7.3 MB`."""
    parts = [package.label]
    if package.dynamic_batch or package.static_batch:
        parts.append("dynamic batch" if package.dynamic_batch else f"batch {package.static_batch}")
    sizes = [file.size for file in package.files if file.size is not None and file.place != "description"]
    if sizes:
        parts.append(size_text(sum(sizes)))
    if not package.trusted:
        parts.append("untrusted")
    return ", ".join(parts)


def _reasons(candidates: Sequence[CandidateReport]) -> list[str]:
    """What the runtimes of a package make of it."""
    if not any(candidate.admissible for candidate in candidates):
        return _refusals(candidates)
    lines = []
    for candidate in candidates:
        facts = _needs(candidate.rejections)
        if candidate.admissible:
            lines.append(f"runs with {candidate.backend.value}, choice {candidate.rank}")
            lines += [f"although it needs {fact}" for fact in facts]
        elif not _is_unwanted(candidate):
            lines += [f"with {candidate.backend.value}: needs {fact}" for fact in facts]
    return lines


def _refusals(candidates: Sequence[CandidateReport]) -> list[str]:
    """Of a package that nothing runs: what all runtimes lack is said once, what each lacks besides as `or ...`."""
    shown = [candidate for candidate in candidates if not _is_unwanted(candidate)] or candidates[:1]
    facts = [_needs(candidate.rejections) for candidate in shown]
    shared = [fact for fact in facts[0] if all(fact in other for other in facts)]
    own = [[fact for fact in each if fact not in shared] for each in facts]
    lines = [f"needs {fact}" for fact in shared]
    if not all(own):
        # One of the runtimes lacks nothing else, so what the others lack besides is of no interest.
        return lines
    lines += [f"needs {fact}" for fact in own[0]]
    for candidate, each in zip(shown[1:], own[1:], strict=True):
        single = len(own[0]) == len(each) == 1
        lead = "or" if single else f"or with {candidate.backend.value} needs"
        lines += [f"{lead} {fact}" if index == 0 else f"and {fact}" for index, fact in enumerate(each)]
    return lines


def _is_unwanted(candidate: CandidateReport) -> bool:
    return any(item.check == _NOT_WANTED for item in candidate.rejections)


def _needs(rejections: Iterable[Rejection]) -> list[str]:
    return list(dict.fromkeys(f"{one_line(item.needs)}; found: {one_line(item.found)}" for item in rejections))


def _file_note(size: int | None, place: str) -> str:
    known = "size not stated" if size is None else size_text(size)
    return f"{known}, {_PLACES[place]}" if place in _PLACES else known


def _details(package: PackageReport) -> list[tuple[str, str]]:
    """What the provider states about the making of a package, a line for each kind."""
    rows = []
    for name, value in package.details.items():
        stated = {key: item for key, item in as_plain(value).items() if item not in (None, False, [], {})}
        text = ", ".join(
            f"{_FACT_NAMES.get(key, key.replace('_', ' '))} {_value(item)}".strip() for key, item in stated.items()
        )
        rows.append((_DETAIL_NAMES.get(name, name), text))
    return rows


def _value(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(_value, value))
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_value(item)}" for key, item in value.items()) + ")"
    return "yes" if value is True else str(value)


# Steps: commands are never wrapped, each can be copied as it stands.


def _steps(report: NegotiationReport, width: int) -> list[str]:
    nothing_runs = report.would_run is None
    if not report.steps:
        return _fact("fewest steps", f"none: {NO_STEPS}", width) if nothing_runs and report.packages else []
    # One that leads only to packages to which a shorter one leads as well is of no interest.
    shortest: dict[str, int] = {}
    for step in report.steps:
        for package_id, _ in step.makes_run:
            shortest.setdefault(package_id, len(step.fixes))
    shown = [step for step in report.steps if any(len(step.fixes) == shortest[name] for name, _ in step.makes_run)]
    lines = []
    for number, step in enumerate(shown[:SHOWN_STEPS], 1):
        first, *rest = (f"pass {one_line(fix)}" if _ARGUMENT.match(fix) else one_line(fix) for fix in step.fixes)
        (package_id, backend), *others = step.makes_run
        more = f" and {len(others)} more" if others else ""
        lines += [f"{'':{_INDENT}}{number}. {first}", *(f"{'':{_INDENT}}   {fix}" for fix in rest)]
        purpose = f"then {_label(report, package_id, backend)}{more} would run"
        lines += _wrap(purpose, width, indent=_INDENT + 3, hanging=0)
    return _named("fewest steps" if nothing_runs else "to run more", lines)


# Layout: a column of names, a column of texts, never wider than the terminal.


def _facts(facts: Iterable[tuple[str, str | None]], width: int) -> list[str]:
    return [line for name, value in facts if value for line in _fact(name, value, width)]


def _fact(name: str, value: str, width: int) -> list[str]:
    """A name and a text beside it."""
    return _named(name, _wrap(value, width, indent=_INDENT, hanging=0))


def _named(name: str, lines: Sequence[str]) -> list[str]:
    """`lines`, which are indented already, with `name` in the indentation of the first, or above it when too long."""
    first, *rest = lines or [""]
    name = one_line(name)
    if len(name) + 2 > _NAME_COLUMN:
        return [f"  {name}", *([first] if first.strip() else []), *rest]
    return [f"  {name:<{_NAME_COLUMN}}{first.strip()}".rstrip(), *rest]


def _wrapped(lines: Iterable[str], width: int) -> list[str]:
    return [part for line in lines for part in _wrap(line, width, indent=_INDENT, hanging=2)]


def _wrap(text: str, width: int, *, indent: int, hanging: int) -> list[str]:
    """`text` as lines, those after the first `hanging` columns further in; a path or file name is never broken."""
    return textwrap.wrap(
        one_line(text),
        max(width, NARROWEST),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _separated(blocks: Iterable[list[str]]) -> list[str]:
    """The blocks that hold something, with an empty line between them."""
    lines: list[str] = []
    for block in blocks:
        if block:
            lines += ["", *block] if lines else block
    return lines
