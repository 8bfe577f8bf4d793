"""How far measuring is: one bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from inference_models.config import interactive_progress_bars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOST = (OSError, ValueError)
"""Of a terminal that hung up, and of a stream that was closed."""


@contextmanager
def shown_progress() -> Iterator[Callable[[str, float], None]]:
    """A callback that draws on standard error; on anything but a terminal it does nothing.

    A terminal that goes away meanwhile changes nothing.
    """
    if sys.stderr is None or not sys.stderr.isatty() or not interactive_progress_bars():
        yield lambda *_: None
        return
    from rich.console import Console  # noqa: PLC0415 - only needed on a terminal
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from inference_models.text import printable  # noqa: PLC0415

    columns = TextColumn("measuring"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False)
    # Without a thread of its own, where errors of writing to a lost terminal could not be caught.
    bars = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
    task = bars.add_task("", total=1.0)

    def show(text: str, share: float) -> None:
        with suppress(*_LOST):
            bars.update(task, description=printable(text), completed=share, refresh=True)

    with suppress(*_LOST):
        bars.start()
    try:
        yield show
    finally:
        with suppress(*_LOST):
            bars.stop()
