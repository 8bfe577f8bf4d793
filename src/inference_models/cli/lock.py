"""`inference-models lock`: pin models to the byte."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inference_models.cli.console import output
from inference_models.cli.pull import Backend, Models, Package, Quantization, pull_all

DEFAULT = Path("models.lock")


def lock(
    models: Models,
    target: Annotated[Path, typer.Option("--output", "-o", dir_okay=False, help="The file to write.")] = DEFAULT,
    backend: Backend = None,
    quantization: Quantization = None,
    package: Package = None,
) -> None:
    """Write a lock file for MODELS: provider, id, revision, package, and size and hash of every file."""
    from inference_models.lockfile import make_lock, write_lock  # noqa: PLC0415 - not needed for --help

    made = make_lock(pull_all(models, backend, quantization, package, every_package=False))
    write_lock(made, target)
    files = sum(len(model.files) for model in made.models)
    output().print(f"{target}: {len(made.models)} packages, {files} files", soft_wrap=True)
