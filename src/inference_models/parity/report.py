"""What a comparison of packages found, as data and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from inference_models.cache.facts import as_checked
from inference_models.record import Record
from inference_models.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from inference_models.parity.certificate import Certificate, ImageFacts
    from inference_models.parity.compare import DeviationFacts


class ParityRow(Record, frozen=True, kw_only=True):
    """One package in one runtime."""

    label: str
    package_id: str
    runtime: str
    certificate: Certificate | None = None
    """None: it could not be compared."""
    failure: str | None = None
    """Why it could not be compared, in one line."""
    notes: tuple[str, ...] = ()
    """What a reader of the numbers has to know."""
    file: Path | None = None
    """Where the certificate lies; None: it was not kept, and a note says why."""

    @property
    def passed(self) -> bool:
        """Whether its answers match the reference, or it is the default reference itself."""
        return self.certificate is not None and self.certificate.passed


class ParityReport(Record, frozen=True, kw_only=True):
    """All packages of a model that fit this machine."""

    model_id: str
    machine: str
    """In words."""
    reference: str
    reason: str
    """Why this one is the reference."""
    images: ImageFacts
    rows: tuple[ParityRow, ...]
    """The reference first."""

    @property
    def passed(self) -> bool:
        """Whether nothing was found that differs more than it may, or does not run.

        What has no gate is left out, and so is a reference that nothing vouches for.
        """
        return all(row.passed or _has_no_gate(row) for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values that JSON can hold."""
        return {
            "schema_version": 1,
            "model_id": self.model_id,
            "machine": self.machine,
            "reference": {"label": self.reference, "reason": self.reason},
            "images": to_builtins(self.images),
            "passed": self.passed,
            "candidates": [_row_to_dict(row) for row in self.rows],
        }


def render(report: ParityReport, console: Console) -> None:
    """Print a report."""
    kind = "probe images" if report.images.kind == "probe" else "images"
    lines = [
        f"parity of {report.model_id!r} on {report.images.count} {kind} ({report.images.digest[:12]})",
        f"this machine  {report.machine}",
        f"reference     {report.reference}: {report.reason}",
        "",
    ]
    width = max(len(row.label) for row in report.rows)
    for row in report.rows:
        lines.append(f"{row.label:<{width}}  {verdict_of(row)}")
        lines += [f"{'':<{width}}  note: {note}" for note in row.notes]
    for line in lines:
        console.print(plain(line), soft_wrap=True)


def verdict_of(row: ParityRow) -> str:
    """One line: what was found out about one package."""
    certificate = row.certificate
    if certificate is None:
        return f"not compared: {row.failure}"
    if certificate.violations:
        return f"failed: {'; '.join(certificate.violations)}"
    if certificate.is_reference:
        return "reference"
    word = "passed" if certificate.passed else f"no gate for {certificate.subject.quantization}"
    return f"{word}: {', '.join(_numbers(certificate))}"


def _numbers(certificate: Certificate) -> Iterator[str]:
    facts = certificate.deviation
    if facts is not None:
        yield from _numbers_of_objects(facts)
        if facts.classified:
            same = facts.classified - facts.top1_flips
            yield f"{same} of {facts.classified} images classified alike"
        if facts.label_flips:
            yield f"{facts.label_flips} labels given by one side only"
        if facts.pixels:
            yield f"{facts.pixel_flips / facts.pixels:.2%} of the pixels of another class"
        if facts.classified or facts.pixels or facts.matched or facts.unmatched:
            yield f"scores within {facts.max_score:.2g}"
    if certificate.compared_inputs:
        yield f"outputs within {max((output.max_rel for output in certificate.outputs), default=0.0):.2g}"


def _numbers_of_objects(facts: DeviationFacts) -> Iterator[str]:
    if not (facts.matched or facts.unmatched):
        return
    borderline = f" ({facts.borderline} borderline)" if facts.borderline else ""
    yield f"{facts.matched} of {facts.matched + facts.unmatched} objects matched{borderline}"
    if facts.class_flips:
        yield f"{facts.class_flips} of another class"
    yield f"boxes within {facts.max_box_px:.2g} px"
    if facts.max_point_px:
        yield f"key points within {facts.max_point_px:.2g} px"
    if facts.mean_mask_iou is not None:
        yield f"masks overlap by {facts.mean_mask_iou:.3f}"


def _has_no_gate(row: ParityRow) -> bool:
    certificate = row.certificate
    return certificate is not None and certificate.gate is None and not certificate.violations


def _row_to_dict(row: ParityRow) -> dict[str, Any]:
    return {
        "package_id": row.package_id,
        "runtime": row.runtime,
        "verdict": verdict_of(row),
        "notes": list(row.notes),
        "certificate": None if row.certificate is None else as_checked(row.certificate),
        "file": None if row.file is None else str(row.file),
    }
