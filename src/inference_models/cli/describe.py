"""`inference-models describe` and `list`: what a model is, and which there are."""

from __future__ import annotations

from typing import Annotated

import typer

from inference_models.cli.console import output


def describe(
    model: Annotated[str, typer.Argument(help="Model id, folder of a package, or .onnx file.")],
    labels: Annotated[str | None, typer.Option(help="Class names of a bare file: a text file, or 'coco'.")] = None,
    family: Annotated[str | None, typer.Option(help="Architecture of a bare file, for example yolov8.")] = None,
    task: Annotated[str | None, typer.Option(help="Task of a bare file, for example object-detection.")] = None,
) -> None:
    """Say what MODEL is, its licence and source, and which of its packages run here."""
    from inference_models.load_options import LoadOptions  # noqa: PLC0415 - not needed for --help
    from inference_models.reports import model_report, render_model  # noqa: PLC0415

    report = model_report(model, options=LoadOptions(labels=labels, model_type=family, task_type=task))
    render_model(report, output())


def list_models() -> None:
    """List the models of the open catalogue."""
    from inference_models.reports import render_catalogue  # noqa: PLC0415 - not needed for --help

    render_catalogue(output())
