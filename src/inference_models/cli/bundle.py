"""`inference-models bundle`: models in one file, from a machine with a network to one without."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inference_models.cli import arguments
from inference_models.cli.arguments import ModelOptions, takes_model
from inference_models.cli.console import say, tell
from inference_models.cli.pull import pull_all
from inference_models.cli.sizes import counted, megabytes

bundle = typer.Typer(help="Carry models to machines without a network.", no_args_is_help=True, rich_markup_mode=None)


@bundle.command("export")
@takes_model
def export(
    models: arguments.Models,
    *,
    how: ModelOptions,
    target: arguments.Output,
    every_package: arguments.EveryPackage = False,
) -> None:
    """Write MODELS, with what they depend on, their licences and a lock, to one file."""
    from inference_models.files.digest import file_sha256  # noqa: PLC0415
    from inference_models.freeze.bundle import export_bundle  # noqa: PLC0415 - not needed for --help
    from inference_models.freeze.lockfile import refuse_bad_target  # noqa: PLC0415

    refuse_bad_target(target)
    pulled = pull_all(models, how.pull_options(every_package=every_package))
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
        typer.Option(help="Refuse any other file than the one with this hash. Without it hosted models are untrusted."),
    ] = None,
) -> None:
    """Verify FILE and put its models into the cache; they load without a network from then on."""
    from inference_models.cache.store import PackageStore  # noqa: PLC0415 - not needed for --help
    from inference_models.freeze.bundle import import_bundle  # noqa: PLC0415
    from inference_models.loading.address import LOCAL  # noqa: PLC0415
    from inference_models.providers import can_be_remembered  # noqa: PLC0415

    models = import_bundle(file, sha256=sha256).models
    for model in models:
        place = f"  in {PackageStore().folder_of(model.key)}" if model.provider == LOCAL else ""
        say(f"{model.provider}:{model.asked_for}  package {model.package}{place}")
    # Of the others, this library knows itself what their files hold.
    unknown = [model.asked_for for model in models if can_be_remembered(model.provider)]
    if sha256 is None and unknown:
        tell(
            f"nobody vouches for {', '.join(unknown)} of this bundle: load with --allow-untrusted, or import with "
            "--sha256 and the hash that `bundle export` printed"
        )
