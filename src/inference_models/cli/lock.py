"""`inference-models lock`: pin models to the byte."""

from __future__ import annotations

from pathlib import Path

from inference_models.cli import arguments
from inference_models.cli.arguments import ModelOptions
from inference_models.cli.console import say
from inference_models.cli.pull import pull_all
from inference_models.cli.sizes import counted

DEFAULT = Path("models.lock")


def lock(models: arguments.Models, *, how: ModelOptions, target: arguments.Output = DEFAULT) -> None:
    """Write a lock file for MODELS: provider, id, revision, package, and size and hash of every file."""
    from inference_models.freeze.lockfile import make_lock, refuse_bad_target, write_lock  # noqa: PLC0415 - not for --help

    refuse_bad_target(target)
    made = make_lock(pull_all(models, how.pull_options()))
    write_lock(made, target)
    files = sum(len(model.files) for model in made.models)
    say(f"{target}: {counted(len(made.models), 'package')}, {counted(files, 'file')}")
