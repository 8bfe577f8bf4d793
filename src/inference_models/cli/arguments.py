"""Options that several commands share, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

KEY_VARIABLE = "INFERENCE_MODELS_API_KEY"
Models = Annotated[list[str], typer.Argument(help="Model ids, or provider:id.")]
Backend = Annotated[list[str] | None, typer.Option(help="Only this backend; may be repeated.")]
Quantization = Annotated[list[str] | None, typer.Option(help="Only this number format; may be repeated.")]
Package = Annotated[str | None, typer.Option(help="Only the package with this id.")]
EveryPackage = Annotated[
    bool, typer.Option("--every-package", help="All packages, for machines that differ from this one.")
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar=KEY_VARIABLE,
        show_envvar=False,
        help=f"Key for the provider. {KEY_VARIABLE} holds it too, and keeps it out of the list of processes.",
    ),
]
AllowUntrusted = Annotated[
    bool, typer.Option("--allow-untrusted", help="Also packages their provider does not vouch for.")
]
AllowCode = Annotated[
    str | None,
    typer.Option("--allow-code", help="SHA-256 of code that may run: Python of a package, or a TorchScript archive."),
]
Model = Annotated[str, typer.Argument(help="Model id, folder of a package, or file with weights.")]
Labels = Annotated[str | None, typer.Option(help="Class names of a bare file: a text file, or 'coco'.")]
Family = Annotated[str | None, typer.Option(help="Architecture of a bare file, for example yolov8.")]
Task = Annotated[str | None, typer.Option(help="Task of a bare file, for example object-detection.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ... Default: the best there is.")]
Output = Annotated[Path, typer.Option("--output", "-o", dir_okay=False, help="The file to write.")]
