"""`inference-models lock`: pin models to the byte."""

from __future__ import annotations

from pathlib import Path

from inference_models.cli import arguments
from inference_models.cli.console import say
from inference_models.cli.pull import pull_all, pull_options
from inference_models.cli.sizes import counted

DEFAULT = Path("models.lock")


def lock(
    models: arguments.Models,
    target: arguments.Output = DEFAULT,
    backend: arguments.Backend = None,
    quantization: arguments.Quantization = None,
    package: arguments.Package = None,
    api_key: arguments.ApiKey = None,
    allow_untrusted: arguments.AllowUntrusted = False,
) -> None:
    """Write a lock file for MODELS: provider, id, revision, package, and size and hash of every file."""
    from inference_models.freeze.lockfile import make_lock, refuse_bad_target, write_lock  # noqa: PLC0415 - not for --help

    refuse_bad_target(target)
    options = pull_options(
        backend=backend,
        quantization=quantization,
        package=package,
        api_key=api_key,
        allow_untrusted=allow_untrusted,
    )
    made = make_lock(pull_all(models, options))
    write_lock(made, target)
    files = sum(len(model.files) for model in made.models)
    say(f"{target}: {counted(len(made.models), 'package')}, {counted(files, 'file')}")
