"""`inference-models explain`: what would run, why, and why not the rest."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from inference_models.cli.console import output
from inference_models.cli.pull import AllowUntrusted, ApiKey, Backend, Package, Quantization

Model = Annotated[str, typer.Argument(help="Model id, folder of a package, or bare file.")]
Labels = Annotated[str | None, typer.Option(help="Class names of a bare file: a text file, or 'coco'.")]
Family = Annotated[str | None, typer.Option(help="Architecture of a bare file, for example yolov8.")]
Task = Annotated[str | None, typer.Option(help="Task of a bare file, for example object-detection.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]


def explain(
    model: Model,
    backend: Backend = None,
    quantization: Quantization = None,
    package: Package = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images that will be sent at once.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 or mps.")] = None,
    execution_provider: Annotated[
        list[str] | None, typer.Option(help="Execution provider of ONNX Runtime; may be repeated, first choice first.")
    ] = None,
    disabled_backend: Annotated[list[str] | None, typer.Option(help="Not this backend; may be repeated.")] = None,
    labels: Labels = None,
    family: Family = None,
    task: Task = None,
    api_key: ApiKey = None,
    allow_untrusted: AllowUntrusted = False,
    as_json: AsJson = False,
) -> None:
    """Say which package of MODEL would run here, why, and what the others lack; exits with 1 if none would.

    Downloads, opens and measures nothing.
    """
    from inference_models.auto import AutoModel  # noqa: PLC0415 - not needed for --help
    from inference_models.options import LoadOptions  # noqa: PLC0415

    report = AutoModel.explain(
        model,
        None,
        api_key,
        model_package_id=package,
        backend=backend or None,
        quantization=quantization or None,
        batch_size=batch_size,
        device=device,
        onnx_execution_providers=execution_provider or None,
        options=LoadOptions(
            labels=labels,
            model_type=family,
            task_type=task,
            allow_untrusted_packages=allow_untrusted,
            disabled_backends=disabled_backend or None,
        ),
    )
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        report.render(output())
    if report.would_run is None:
        raise typer.Exit(1)
