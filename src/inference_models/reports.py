"""What is known about a model, as data and as tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from inference_models.catalogue import open_catalogue
from inference_models.described import described
from inference_models.load import LoadRequest
from inference_models.load_options import LoadOptions
from inference_models.resolve.choose import judge
from inference_models.resolve.environment import probe_environment
from inference_models.resolve.request import PackageRequest
from inference_models.terminal import plain

if TYPE_CHECKING:
    import os

    from rich.console import Console

    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.resolve.rejection import Rejection


@dataclass(frozen=True)
class ModelReport:
    """A model, and which of its packages run here."""

    model: ModelMetadata
    rejections: tuple[Rejection, ...]
    machine: str

    def reasons(self, package: ModelPackageMetadata) -> list[Rejection]:
        """Why `package` cannot run here; empty when it can."""
        return [rejection for rejection in self.rejections if rejection.package_id == package.package_id]


def model_report(
    model: str | os.PathLike[str],
    provider: str | None = None,
    *,
    api_key: str | None = None,
    options: LoadOptions | None = None,
) -> ModelReport:
    """Facts about `model`; nothing is downloaded.

    Raises:
        ModelNotFoundError: nobody knows it.
    """
    environment = probe_environment()
    load = LoadRequest(options=options or LoadOptions())
    with described(model, provider, api_key=api_key, load=load) as (metadata, _):
        verdicts = judge(metadata, PackageRequest(), environment)
        reasons = tuple(reason for candidate, found in verdicts if candidate.is_native for reason in found)
        return ModelReport(metadata, reasons, environment.describe())


def render_model(report: ModelReport, console: Console) -> None:
    """Print a report."""
    model = report.model
    facts = Table.grid(padding=(0, 2))
    for name, value in (
        ("model", model.model_id),
        ("what", model.description),
        ("task", model.task_type),
        ("architecture", model.model_architecture),
        ("licence", model.license or "not stated"),
        ("source", model.source),
        ("this machine", report.machine),
    ):
        if value:
            facts.add_row(f"[bold]{name}", plain(value))
    console.print(facts)
    packages = Table("package", "backend", "quantization", "batch", "MB", "runs here")
    for package in model.model_packages:
        packages.add_row(*map(plain, _package_row(package, report.reasons(package))))
    console.print(packages)
    for skipped in model.skipped_packages:
        console.print(plain(f"left out: {skipped.package_id}: {skipped.reason}"), soft_wrap=True)


def render_catalogue(console: Console) -> None:
    """Print the models of the open catalogue."""
    table = Table("id", "what", "task", "licence", "MB")
    for model_id, model in open_catalogue().models.items():
        size = sum(file.size for file in model.packages[0].files)
        table.add_row(model_id, model.description, model.task_type, model.license, f"{size / 1e6:.1f}")
    console.print(table)


def _package_row(package: ModelPackageMetadata, reasons: list[Rejection]) -> tuple[str, ...]:
    batch = "dynamic" if package.dynamic_batch_size_supported else str(package.static_batch_size or "?")
    verdict = "\n".join(f"needs {item.needs}; found: {item.found}" for item in reasons) or "yes"
    quantization = package.quantization.value if package.quantization else "?"
    return package.package_id, package.backend.value, quantization, batch, _megabytes(package), verdict


def _megabytes(package: ModelPackageMetadata) -> str:
    sizes = [getattr(item, "size", None) for item in package.package_artefacts]
    known = [size for size in sizes if size]
    return f"{sum(known) / 1e6:.1f}" if known else ""
