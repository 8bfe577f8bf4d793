"""`inference-models describe`, `explain` and `list`: what a model is, what would run, why, and why not the rest."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inference_models.cli import arguments
from inference_models.cli.arguments import ModelOptions
from inference_models.cli.console import output, say_advice

if TYPE_CHECKING:
    from inference_models.negotiate.report import NegotiationReport


def describe(model: arguments.Model, *, how: ModelOptions, as_json: arguments.AsJson = False) -> None:
    """Say what MODEL is, its licence and source, and which of its packages run here; with --package, its files."""
    from inference_models.negotiate.report import package_lines, report_lines  # noqa: PLC0415 - not needed for --help

    report = _explained(model, replace(how, package=None))
    if how.package is not None:
        report.package(how.package)  # an unknown one is an error whatever is printed
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    elif how.package is not None:
        say_advice(package_lines(report, how.package, width=output().width))
    else:
        say_advice(report_lines(report, width=output().width))


def explain(
    model: arguments.Model,
    *,
    how: ModelOptions,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images that will be sent at once.")] = None,
    execution_provider: Annotated[
        list[str] | None, typer.Option(help="Execution provider of ONNX Runtime; may be repeated, first choice first.")
    ] = None,
    disabled_backend: Annotated[list[str] | None, typer.Option(help="Not this backend; may be repeated.")] = None,
    as_json: arguments.AsJson = False,
) -> None:
    """Say which package of MODEL would run here, why, and what the others lack; exits with 1 if none would.

    Downloads, opens and measures nothing.
    """
    from inference_models.negotiate.report import report_lines  # noqa: PLC0415 - not needed for --help

    choices = {"batch_size": batch_size, "onnx_execution_providers": execution_provider or None}
    report = _explained(model, how, disabled_backends=disabled_backend or None, **choices)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        say_advice(report_lines(report, width=output().width))
    if report.would_run is None:
        raise typer.Exit(1)


def _explained(model: str, how: ModelOptions, *, disabled_backends: Any = None, **choices: Any) -> NegotiationReport:
    from inference_models.auto import AutoModel  # noqa: PLC0415 - not needed for --help

    options = how.load_options(disabled_backends=disabled_backends)
    return AutoModel.explain(model, None, how.api_key, options=options, **{**how.choices(), **choices})


def list_models() -> None:
    """List the models of the open catalogue."""
    from rich.table import Table  # noqa: PLC0415 - not needed for --help

    from inference_models.catalogue import open_catalogue  # noqa: PLC0415

    table = Table("id", "what", "task", "licence", "MB")
    for model_id, model in open_catalogue().models.items():
        size = sum(file.size for file in model.packages[0].files)
        table.add_row(model_id, model.description, model.task_type, model.license, f"{size / 1e6:.1f}")
    output().print(table)
