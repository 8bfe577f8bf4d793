"""How far measuring is: one bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from inference_models.config import interactive_progress_bars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def shown_progress() -> Iterator[Callable[[str, float], None]]:
    """A callback that draws on standard error; on anything but a terminal it does nothing."""
    if sys.stderr is None or not sys.stderr.isatty() or not interactive_progress_bars():
        yield _nothing
        return
    from rich.console import Console  # noqa: PLC0415 - only needed on a terminal
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from inference_models.terminal import printable  # noqa: PLC0415

    columns = TextColumn("measuring"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False)
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=1.0)
        yield lambda text, share: bars.update(task, description=printable(text), completed=share)


def _nothing(text: str, share: float) -> None:
    """Nobody looks."""
