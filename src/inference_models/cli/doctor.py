"""`inference-models doctor`: what is wrong with this machine, and the command that mends it. Mends nothing itself."""

from __future__ import annotations

from typing import Annotated

import typer

from inference_models.cli.console import output
from inference_models.cli.wording import own_pip
from inference_models.record import replace


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array instead of text.")] = False,
) -> None:
    """Check this machine and print the exact command that mends what is wrong; exits with 1 if something is."""
    import json  # noqa: PLC0415 - not needed for --help
    from dataclasses import asdict  # noqa: PLC0415

    from inference_models.doctor.examine import BAD, examine, render  # noqa: PLC0415

    # Commands of pip are for the environment of this program.
    findings = [replace(each, fix=each.fix and own_pip(each.fix)) for each in examine()]
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        render(findings, output())
    if any(finding.level == BAD for finding in findings):
        raise typer.Exit(1)
