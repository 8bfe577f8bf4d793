"""Where the command line writes: results to standard output, everything else to standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.text import Text

from inference_models.cli.wording import in_options, other_name
from inference_models.text import json_text, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inference_models.errors import BaseInferenceModelsError

NARROWEST_TABLE = 100
"""Columns of a table that goes to a file or a pipe, where no terminal says how wide it is."""
USAGE_ERROR: Any = typer.BadParameter.__mro__[1]
"""Base of what typer raises for a command line it cannot make sense of; its name depends on the version of typer."""


def output() -> Console:
    """Console on standard output."""
    return _console(stderr=False)


def messages() -> Console:
    """Console on standard error."""
    return _console(stderr=True)


def say(text: object) -> None:
    """Write one result, whatever it holds."""
    output().print(plain(text), soft_wrap=True)


def say_advice(lines: Iterable[str]) -> None:
    """Write lines of a report, with options where they name arguments."""
    console = output()
    for line in lines:
        console.print(plain(in_options(line)), soft_wrap=True)


def tell(text: object) -> None:
    """Write one message, whatever it holds."""
    messages().print(plain(text), soft_wrap=True)


def report_error(error: BaseInferenceModelsError, *, as_json: bool = False) -> None:
    """Write an error the way every command does; with `as_json` as one object to standard output too."""
    messages().print(Text.assemble(("error: ", "bold red"), plain(in_options(str(error)))), soft_wrap=True)
    if as_json:
        typer.echo(json_text({"error": error_facts(error)}))


def error_facts(error: BaseInferenceModelsError) -> dict[str, str | None]:
    """An error for JSON: its class, what failed, what it takes, what was found, what to do."""
    parts = {"summary": error.summary, "needs": error.needs, "found": error.found, "fix": error.fix}
    return {"type": type(error).__name__, **{name: text and in_options(str(text)) for name, text in parts.items()}}


def report_usage(error: Any, *, as_json: bool) -> None:
    """Write what is wrong with a command line, and the option that is meant by one of another program."""
    option = getattr(error, "option_name", None)
    meant = None if option is None else other_name(option)
    if meant:
        error.possibilities = [meant]
    error.show()
    if as_json:
        typer.echo(json_text({"error": {"type": "UsageError", "summary": error.format_message()}}))


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    console = Console(stderr=stderr, highlight=False)
    if not stream.isatty():
        console.width = max(console.width, NARROWEST_TABLE)
    return console
