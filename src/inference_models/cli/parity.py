"""`inference-models parity`: do the packages of a model, and the runtimes that read them, answer alike here?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inference_models.cli import arguments
from inference_models.cli.arguments import ModelOptions
from inference_models.cli.console import messages, output, say, tell
from inference_models.cli.inputs import find_images
from inference_models.errors import EnvironmentConfigurationError
from inference_models.files.durable import write_output

if TYPE_CHECKING:
    from inference_models.parity.images import ImageSet
    from inference_models.parity.report import ParityReport


def parity(
    model: arguments.Model,
    *,
    how: ModelOptions,
    reference: Annotated[
        str | None,
        typer.Option(help="PACKAGE or PACKAGE/BACKEND. Default: the first fp32 package on ONNX Runtime, on the CPU."),
    ] = None,
    images: Annotated[
        str | None, typer.Option(help="Folder of images, or a pattern. Default: those that come with the library.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Images at most. Default: 200 of a folder.")] = None,
    where: Annotated[
        bool, typer.Option("--where", help="Instead: at which node of its ONNX graph the other runtimes part first.")
    ] = False,
    as_json: arguments.AsJson = False,
    target: Annotated[Path | None, typer.Option("--output", help="Also write the report as JSON here.")] = None,
) -> None:
    """Compare the answers of every package of MODEL that fits this machine, and keep a certificate of each.

    Exits with 1 when one differs by more than it may, or does not run.
    """
    from inference_models.parity.check import ParityOptions, check_parity  # noqa: PLC0415 - not needed for --help
    from inference_models.parity.report import render  # noqa: PLC0415

    if where:
        _say_where(model, how, reference, as_json=as_json)
        return
    options = ParityOptions(
        reference=reference,
        images=_image_set(images, count),
        request=how.request(),
        load=how.load_options(),
        api_key=how.api_key,
    )
    report = check_parity(model, options, progress=_say)
    if target is not None:
        _write(report, target)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        render(report, output())
    if not report.passed:
        raise typer.Exit(1)


def _say_where(model: str, how: ModelOptions, reference: str | None, *, as_json: bool) -> None:
    """Exits with 1 where two part, or cannot be compared."""
    from msgspec import to_builtins  # noqa: PLC0415 - not needed for --help

    from inference_models.parity.where import find_partings  # noqa: PLC0415

    found = find_partings(
        model, request=how.request(), load=how.load_options(), reference=reference, api_key=how.api_key
    )
    if as_json:
        typer.echo(json.dumps({"schema_version": 1, "partings": to_builtins(found)}, indent=2))
    else:
        say(f"{found[0].package}, on three pictures at once where it takes them")
        for each in found:
            say(each.text())
    if any(each.node or each.failure for each in found):
        raise typer.Exit(1)


def _image_set(images: str | None, count: int | None) -> ImageSet:
    from inference_models.parity.images import file_set, probe_set  # noqa: PLC0415 - not needed for --help

    return probe_set(count) if images is None else file_set(find_images([images]), count)


def _say(label: str) -> None:
    if messages().is_terminal:
        tell(f"{label} ...")


def _write(report: ParityReport, target: Path) -> None:
    try:
        write_output(target, (json.dumps(report.to_dict(), indent=2) + "\n").encode())
    except OSError as exc:
        raise EnvironmentConfigurationError(
            f"'{target}' cannot be written to.",
            needs="a file in a folder where you may write",
            found=exc.strerror or type(exc).__name__,
            fix="pass another file to --output",
        ) from exc
