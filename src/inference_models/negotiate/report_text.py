"""A report in words: short, one fact per line, each command on a line of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.negotiate.layout import NAME_COLUMN, WIDTH, fact, named, one_line, size_text, wrapped
from inference_models.negotiate.plain_data import as_plain
from inference_models.negotiate.reasons import NO_STEPS, fix_text, package_lines, told_together, why_text
from inference_models.negotiate.report import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from inference_models.entities import BackendType
    from inference_models.negotiate.report import Download, NegotiationReport, PackageReport, WouldRun

SHOWN_STEPS = 3
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
"""Names of facts as people say them; those that speak for themselves have none."""
_INDENT = NAME_COLUMN + 2


def report_lines(report: NegotiationReport, *, width: int = WIDTH) -> list[str]:
    """The whole report: the model, what would run, every package, and the fewest steps to more."""
    blocks = [
        [_headline(report)],
        _model_facts(report, width),
        _outcome(report, width),
        _packages(report, width),
        _steps(report.steps, report, width),
    ]
    return _separated(blocks)


def package_report_lines(report: NegotiationReport, package_id: str, *, width: int = WIDTH) -> list[str]:
    """One package: how it was made, its files, and what every runtime makes of it.

    Raises:
        NoModelPackagesAvailableError: there is no such package.
    """
    package = report.package(package_id)
    own = (Step(step.fixes, tuple(item for item in step.makes_run if item[0] == package_id)) for step in report.steps)
    steps = [step for step in own if step.makes_run]
    blocks = [
        [f"package {one_line(package_id)} of {one_line(report.model.model_id)}: {_head(package)}"],
        _package_facts(package, report, width),
        fact("this machine", report.machine.describe(), width=width),
        named("runs here", _wrapped(package_lines(package.candidates), width)),
        fact("to fetch", download_text(package.download), width=width),
        _steps(steps, report, width),
    ]
    return _separated([blocks[0], blocks[1], [line for block in blocks[2:5] for line in block], blocks[5]])


def download_text(download: Download) -> str:
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


def _headline(report: NegotiationReport) -> str:
    count = len(report.packages)
    name = one_line(report.model.model_id)
    if not count:
        return f"{name}: the provider has no package that this release can read."
    plural = "package" if count == 1 else "packages"
    fitting = sum(package.admissible for package in report.packages)
    if not fitting:
        return f"{name}: none of {count} {plural} can run here." if count > 1 else f"{name}: cannot run here."
    return f"{name}: {fitting} of {count} {plural} can run here."


def _model_facts(report: NegotiationReport, width: int) -> list[str]:
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
        ("this machine", report.machine.describe()),
        ("you asked for", report.request.describe()),
    ]
    return [line for name, value in facts if value for line in fact(name, value, width=width)]


def _outcome(report: NegotiationReport, width: int) -> list[str]:
    run = report.would_run
    if run is None:
        return fact("would run", "nothing", width=width)
    return [
        *fact("would run", f"{_label(report, run.package_id, run.backend)}: {_why(run)}", width=width),
        *fact("to fetch", download_text(report.package(run.package_id).download), width=width),
    ]


def _why(run: WouldRun) -> str:
    settings = []
    if run.threads is not None:
        settings.append("1 thread" if run.threads == 1 else f"{run.threads} threads")
    if run.execution_providers is not None:
        names = (item if isinstance(item, str) else item[0] for item in run.execution_providers)
        settings.append(", ".join(map(str, names)))
    return ", ".join([why_text(run.reason), *settings])


def _label(report: NegotiationReport, package_id: str, backend: BackendType) -> str:
    package = report.package(package_id)
    through = "" if backend is package.format else f" through {backend.value}"
    return one_line(f"{package_id} {package.label}{through}")


def _packages(report: NegotiationReport, width: int) -> list[str]:
    groups = told_together(report.packages, _sameness)
    told = [line for group in groups for line in _group_lines(group, width)]
    left_out = [line for item in report.skipped_packages for line in _left_out(item.package_id, item.reason, width)]
    return told + left_out


def _sameness(package: PackageReport) -> object:
    return package.package_id if package.admissible else (package.format, package_lines(package.candidates))


def _group_lines(packages: Sequence[PackageReport], width: int) -> list[str]:
    first = packages[0]
    if len(packages) == 1:
        return named(first.package_id, _wrapped([_head(first), *package_lines(first.candidates)], width))
    labels = ", ".join(dict.fromkeys(package.label for package in packages))
    lines = [f"{labels}, like {len(packages) - 1} more", *package_lines(first.candidates)]
    return named(first.package_id, _wrapped(lines, width))


def _left_out(package_id: str, reason: str, width: int) -> list[str]:
    return named(package_id, _wrapped([f"left out: {reason}"], width))


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


def _package_facts(package: PackageReport, report: NegotiationReport, width: int) -> list[str]:
    lines = []
    for name, value in (("licence", report.model.license or "not stated"), *_details(package)):
        lines += fact(name, value, width=width)
    handles = [one_line(file.handle) for file in package.files]
    longest = max(map(len, handles), default=0)
    notes = (_file_note(file.size, file.place) for file in package.files)
    rows = [f"{handle:<{longest}}  {note}" for handle, note in zip(handles, notes, strict=True)]
    return [*lines, *named("files", [" " * _INDENT + row for row in rows])]


def _file_note(size: int | None, place: str) -> str:
    notes = {"cache": "stored", "description": "part of the description", "local": "on this machine"}
    known = "size not stated" if size is None else size_text(size)
    return f"{known}, {notes[place]}" if place in notes else known


def _details(package: PackageReport) -> list[tuple[str, str]]:
    """What the provider states about the making of a package, a line for each kind."""
    rows = []
    for name, value in package.details.items():
        shown = {key: item for key, item in as_plain(value).items() if item not in (None, False, [], {})}
        text = ", ".join(
            f"{_FACT_NAMES.get(key, key.replace('_', ' '))} {_shown(item)}".strip() for key, item in shown.items()
        )
        if text:
            rows.append((_DETAIL_NAMES.get(name, name), text))
    return rows


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(_shown, value))
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_shown(item)}" for key, item in value.items()) + ")"
    return "yes" if value is True else str(value)


def _steps(steps: Sequence[Step], report: NegotiationReport, width: int) -> list[str]:
    nothing_runs = report.would_run is None
    if not steps:
        hopeless = nothing_runs and report.packages
        none = f"none: {NO_STEPS}"
        return fact("fewest steps", none, width=width) if hopeless else []
    shown = _shortest(steps)[:SHOWN_STEPS]
    lines = [line for number, step in enumerate(shown, 1) for line in _step(number, step, report, width)]
    return named("fewest steps" if nothing_runs else "to run more", lines)


def _shortest(steps: Sequence[Step]) -> list[Step]:
    """`steps` without those that only lead to packages to which a shorter one leads as well."""
    shortest: dict[str, int] = {}
    for step in steps:
        for package_id, _ in step.makes_run:
            shortest.setdefault(package_id, len(step.fixes))
    return [step for step in steps if any(len(step.fixes) == shortest[name] for name, _ in step.makes_run)]


def _step(number: int, step: Step, report: NegotiationReport, width: int) -> list[str]:
    """Commands are not wrapped: each can be copied as it stands."""
    first, *rest = map(fix_text, step.fixes)
    (package_id, backend), *others = step.makes_run
    more = f" and {len(others)} more" if others else ""
    purpose = f"then {_label(report, package_id, backend)}{more} would run"
    space = " " * _INDENT
    lines = [f"{space}{number}. {first}", *(f"{space}   {fix}" for fix in rest)]
    return [*lines, *wrapped(purpose, width=width, indent=_INDENT + 3)]


def _wrapped(lines: Iterable[str], width: int) -> list[str]:
    return [part for line in lines for part in wrapped(line, width=width, indent=_INDENT, hanging=2)]


def _separated(blocks: Iterable[list[str]]) -> list[str]:
    """The blocks that hold something, with an empty line between them."""
    lines: list[str] = []
    for block in blocks:
        if block:
            lines += ["", *block] if lines else block
    return lines
