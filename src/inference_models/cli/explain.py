"""`inference-models explain`: what would run, why, and why not the rest."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from inference_models.cli import arguments
from inference_models.cli.console import output


def explain(
    model: arguments.Model,
    backend: arguments.Backend = None,
    quantization: arguments.Quantization = None,
    package: arguments.Package = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images that will be sent at once.")] = None,
    device: arguments.Device = None,
    execution_provider: Annotated[
        list[str] | None, typer.Option(help="Execution provider of ONNX Runtime; may be repeated, first choice first.")
    ] = None,
    disabled_backend: Annotated[list[str] | None, typer.Option(help="Not this backend; may be repeated.")] = None,
    labels: arguments.Labels = None,
    family: arguments.Family = None,
    task: arguments.Task = None,
    api_key: arguments.ApiKey = None,
    allow_untrusted: arguments.AllowUntrusted = False,
    allow_code: arguments.AllowCode = None,
    as_json: arguments.AsJson = False,
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
            allow_local_code_packages=allow_code or False,
            disabled_backends=disabled_backend or None,
        ),
    )
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        report.render(output())
    if report.would_run is None:
        raise typer.Exit(1)
