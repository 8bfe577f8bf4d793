"""`inference-models describe` and `list`: what a model is, and which there are."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from inference_models.cli import arguments
from inference_models.cli.console import output


def describe(
    model: arguments.Model,
    package: Annotated[str | None, typer.Option(help="Only the package with this id, with its files.")] = None,
    labels: arguments.Labels = None,
    family: arguments.Family = None,
    task: arguments.Task = None,
    api_key: arguments.ApiKey = None,
    as_json: arguments.AsJson = False,
) -> None:
    """Say what MODEL is, its licence and source, and which of its packages run here."""
    from inference_models.auto import AutoModel  # noqa: PLC0415 - not needed for --help
    from inference_models.options import LoadOptions  # noqa: PLC0415

    options = LoadOptions(labels=labels, model_type=family, task_type=task)
    report = AutoModel.explain(model, None, api_key, options=options)
    if package is not None:
        report.package(package)  # an unknown one is an error whatever is printed
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    elif package is not None:
        report.render_package(package, output())
    else:
        report.render(output())


def list_models() -> None:
    """List the models of the open catalogue."""
    from rich.table import Table  # noqa: PLC0415 - not needed for --help

    from inference_models.catalogue import open_catalogue  # noqa: PLC0415

    table = Table("id", "what", "task", "licence", "MB")
    for model_id, model in open_catalogue().models.items():
        size = sum(file.size for file in model.packages[0].files)
        table.add_row(model_id, model.description, model.task_type, model.license, f"{size / 1e6:.1f}")
    output().print(table)
