"""`inference-models convert`: another form of a model, which answers as it does."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from inference_models.cli import arguments
from inference_models.cli.arguments import ModelOptions
from inference_models.cli.console import messages, say, tell
from inference_models.cli.inputs import find_images
from inference_models.entities import Quantization
from inference_models.text import json_text

if TYPE_CHECKING:
    from inference_models.convert.options import Conversion


def convert(
    model: arguments.Model,
    *,
    how: ModelOptions,
    to: Annotated[Literal["onnx", "openvino", "torchscript"], typer.Option(help="Format of the new package.")],
    half: Annotated[bool, typer.Option("--half", help="Numbers of 16 bits.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Weights of 8 bits, in an ONNX package.")] = False,
    target: Annotated[
        Path | None,
        typer.Option("--output", help="A new folder. Default: the cache, where MODEL has one more package then."),
    ] = None,
    images: Annotated[
        str | None, typer.Option(help="Folder of images, or a pattern. Default: those that come with the library.")
    ] = None,
    exporter: Annotated[
        Literal["dynamo", "legacy"] | None, typer.Option(help="Only this exporter of PyTorch. Default: both in turn.")
    ] = None,
    as_json: arguments.AsJson = False,
) -> None:
    """Write MODEL, which runs in PyTorch or Transformers, as a package of another format.

    It is compared with MODEL on images first. Nothing is written, and the exit code is 1, when the two differ by more
    than they may.
    """
    from inference_models.convert.model import convert_model  # noqa: PLC0415 - not needed for --help
    from inference_models.convert.options import ConvertOptions, parse_format  # noqa: PLC0415
    from inference_models.parity.images import file_set  # noqa: PLC0415

    if half and int8:
        raise typer.BadParameter("--half and --int8 exclude each other")
    number = Quantization.FP16 if half else Quantization.INT8 if int8 else Quantization.FP32
    options = ConvertOptions(
        to=parse_format(to),
        quantization=number,
        output=target,
        images=None if images is None else file_set(find_images([images])),
        request=how.request(),
        load=how.load_options(),
        api_key=how.api_key,
        **({} if exporter is None else {"exporters": (exporter,)}),
    )
    made = convert_model(model, options, progress=_progress)
    if as_json:
        typer.echo(json_text(made.to_dict()))
        return
    for line in made.lines():
        say(line)
    say(_what_next(model, made, in_cache=target is None))


def _progress(label: str) -> None:
    if messages().is_terminal:
        tell(f"{label} ...")


def _what_next(model: str, made: Conversion, *, in_cache: bool) -> str:
    if in_cache:
        return f"next: inference-models tune {shlex.quote(model)}"
    asked = " --quantization int8" if made.quantization is Quantization.INT8 else ""
    return f"next: inference-models predict {shlex.quote(str(made.folder))} IMAGE{asked}"
