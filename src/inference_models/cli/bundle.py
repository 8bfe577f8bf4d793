"""`inference-models bundle`: models in one file, from a machine with a network to one without."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inference_models.cli import arguments
from inference_models.cli.console import messages, say, tell
from inference_models.cli.pull import pull_all, pull_options
from inference_models.cli.sizes import counted, megabytes
from inference_models.text import plain

bundle = typer.Typer(help="Carry models to machines without a network.", no_args_is_help=True, rich_markup_mode=None)


@bundle.command("export")
def export(
    models: arguments.Models,
    target: arguments.Output,
    backend: arguments.Backend = None,
    quantization: arguments.Quantization = None,
    package: arguments.Package = None,
    every_package: arguments.EveryPackage = False,
    api_key: arguments.ApiKey = None,
    allow_untrusted: arguments.AllowUntrusted = False,
) -> None:
    """Write MODELS, with what they depend on, their licences and a lock, to one file."""
    from inference_models.files.digest import file_sha256  # noqa: PLC0415
    from inference_models.freeze.bundle import export_bundle  # noqa: PLC0415 - not needed for --help
    from inference_models.freeze.lockfile import refuse_bad_target  # noqa: PLC0415

    refuse_bad_target(target)
    options = pull_options(
        backend=backend,
        quantization=quantization,
        package=package,
        every_package=every_package,
        api_key=api_key,
        allow_untrusted=allow_untrusted,
    )
    pulled = pull_all(models, options)
    for item in pulled:
        if item.model.license is None:
            tell(f"{item.model.model_id}: no licence is stated")
    export_bundle(pulled, target)
    size = megabytes(target.stat().st_size)
    say(f"{target}: {counted(len(pulled), 'package')}, {size} MB")
    say(f"sha256 {file_sha256(target)}")


@bundle.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file `bundle export` wrote.")],
    sha256: Annotated[
        str | None,
        typer.Option(help="Refuse any other file than the one with this hash. Without it the models are untrusted."),
    ] = None,
) -> None:
    """Verify FILE and put its models into the cache; they load without a network from then on."""
    from inference_models.freeze.bundle import import_bundle  # noqa: PLC0415 - not needed for --help

    for model in import_bundle(file, sha256=sha256).models:
        say(f"{model.provider}:{model.asked_for}  package {model.package}")
    if sha256 is None:
        messages().print(
            plain(
                "nobody vouches for this bundle: its models load with allow_untrusted_packages=True only. "
                "Import it with --sha256 and the hash that `bundle export` printed to trust them."
            ),
            soft_wrap=True,
        )
