"""`inference-models lock`: pin models to the byte."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inference_models.cli.console import output
from inference_models.cli.pull import (
    AllowUntrusted,
    ApiKey,
    Backend,
    Models,
    Package,
    Quantization,
    Selection,
    pull_all,
)
from inference_models.text import plain

DEFAULT = Path("models.lock")


def lock(
    models: Models,
    target: Annotated[Path, typer.Option("--output", "-o", dir_okay=False, help="The file to write.")] = DEFAULT,
    backend: Backend = None,
    quantization: Quantization = None,
    package: Package = None,
    api_key: ApiKey = None,
    allow_untrusted: AllowUntrusted = False,
) -> None:
    """Write a lock file for MODELS: provider, id, revision, package, and size and hash of every file."""
    from inference_models.freeze.lockfile import make_lock, refuse_bad_target, write_lock  # noqa: PLC0415 - not for --help

    refuse_bad_target(target)
    selection = Selection(
        backend=backend,
        quantization=quantization,
        package=package,
        api_key=api_key,
        allow_untrusted=allow_untrusted,
    )
    made = make_lock(pull_all(models, selection))
    write_lock(made, target)
    files = sum(len(model.files) for model in made.models)
    output().print(plain(f"{target}: {len(made.models)} packages, {files} files"), soft_wrap=True)
