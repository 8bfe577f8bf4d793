"""Where the command line writes: results to standard output, everything else to standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from inference_models.text import plain

if TYPE_CHECKING:
    from inference_models.errors import BaseInferenceModelsError

NARROWEST_TABLE = 100
"""Columns of a table that goes to a file or a pipe, where no terminal says how wide it is."""


def output() -> Console:
    """Console on standard output."""
    return _console(stderr=False)


def messages() -> Console:
    """Console on standard error."""
    return _console(stderr=True)


def say(text: object) -> None:
    """Write one result, whatever it holds."""
    output().print(plain(text), soft_wrap=True)


def tell(text: object) -> None:
    """Write one message, whatever it holds."""
    messages().print(plain(text), soft_wrap=True)


def report_error(error: BaseInferenceModelsError) -> None:
    """Write an error the way every command does."""
    messages().print(Text.assemble(("error: ", "bold red"), plain(error)), soft_wrap=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    console = Console(stderr=stderr, highlight=False)
    if not stream.isatty():
        console.width = max(console.width, NARROWEST_TABLE)
    return console
