"""`inference-models tune`: find out what is fastest on this machine, and load that from then on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inference_models.cli import arguments
from inference_models.cli.arguments import ModelOptions
from inference_models.cli.console import output
from inference_models.cli.wording import in_options
from inference_models.text import json_text

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "ms": 0.001}
LONGEST_S = 86_400


def tune(
    model: arguments.Model,
    *,
    how: ModelOptions,
    budget: Annotated[str, typer.Option(help="Time to measure for: 60s, 5m. Fetching comes before.")] = "60s",
    image: Annotated[
        list[Path] | None, typer.Option(help="A picture of the kind the model will see; may be repeated.")
    ] = None,
    as_json: arguments.AsJson = False,
    threads: Annotated[int | None, typer.Option(help="Threads of one run. Default: several numbers are tried.")] = None,
) -> None:
    """Time the packages, backends and settings of MODEL that fit this machine, and remember the fastest.

    Each runs in a process of its own; their answers are compared. A load with the same options takes the winner from
    then on. Exits with 1 when nothing could be measured.
    """
    from inference_models.measure.progress import shown_progress  # noqa: PLC0415
    from inference_models.measure.tune import TuneOptions, tune_model  # noqa: PLC0415
    from inference_models.preprocess.inputs import load_images  # noqa: PLC0415

    seconds = parse_seconds(budget)
    options = how.load_options(threads=threads, select="measured")
    pictures = [picture.pixels[..., ::-1] for picture in load_images(image)] if image else []
    with shown_progress() as progress:
        measured = TuneOptions(budget=seconds, images=pictures, progress=progress)
        report = tune_model(model, how.request(), options, api_key=how.api_key, how=measured)
    if as_json:
        typer.echo(json_text(report.to_dict()))
    else:
        report.render(output(), in_options)
    if report.winner is None:
        raise typer.Exit(1)


def parse_seconds(text: str) -> float:
    """Seconds in a text such as `60s` or `5m`.

    Raises:
        BadParameter: the text is no time, or none that makes sense.
    """
    stripped = text.strip().lower()
    number = stripped.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = stripped[len(number) :].strip()
    if number.replace(".", "", 1).isdecimal() and unit in _UNITS:
        seconds = float(number) * _UNITS[unit]
        if 0 < seconds <= LONGEST_S:
            return seconds
    raise typer.BadParameter(f"{text!r} is no time to measure for; write for example 60s or 5m")
