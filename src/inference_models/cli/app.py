"""The commands of `inference-models`, in one list."""

from __future__ import annotations

from typing import Annotated

import typer

from inference_models.cli.arguments import takes_model
from inference_models.cli.bundle import bundle
from inference_models.cli.cache import cache
from inference_models.cli.convert import convert
from inference_models.cli.describe import describe, explain, list_models
from inference_models.cli.doctor import doctor
from inference_models.cli.lock import lock
from inference_models.cli.manifest import manifest
from inference_models.cli.parity import parity
from inference_models.cli.predict import predict
from inference_models.cli.pull import pull
from inference_models.cli.registry import registry
from inference_models.cli.tune import tune
from inference_models.version import __version__

app = typer.Typer(
    help="Load any computer-vision model with one line and run it on the best backend this machine has.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"inference-models {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Run `inference-models COMMAND --help` for the options of a command."""


for command in (predict, describe, explain, tune, convert, pull, parity, lock):
    app.command()(takes_model(command))
app.command("list")(list_models)
app.command("doctor")(doctor)
app.add_typer(bundle, name="bundle")
app.add_typer(cache, name="cache")
app.add_typer(registry, name="registry")
app.command("manifest")(manifest)
