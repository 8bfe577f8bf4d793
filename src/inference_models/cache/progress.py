"""How far a download is: the facts, and a bar on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from inference_models.config import interactive_progress_bars
from inference_models.fork import Lock
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

_one_display = Lock()
"""A terminal shows the bars of one load; others that run beside it show nothing."""


class Progress(Record, frozen=True):
    """Progress of one file."""

    handle: str
    done: int
    """Bytes on this machine."""
    size: int | None
    """Bytes of the whole file; None: unknown."""


ProgressCallback: TypeAlias = Callable[[Progress], None]
"""Called from the thread that loads, about ten times a second. What it raises ends the download."""


@contextmanager
def shown_progress() -> Iterator[ProgressCallback]:
    """A callback that draws one bar per file on stderr; on anything but a terminal it does nothing."""
    on_terminal = sys.stderr is not None and sys.stderr.isatty() and interactive_progress_bars()
    if not on_terminal or not _one_display.acquire(blocking=False):
        yield _nothing
        return
    try:
        with _bars() as draw:
            yield draw
    finally:
        _one_display.release()


@contextmanager
def _bars() -> Iterator[ProgressCallback]:
    from rich.console import Console  # noqa: PLC0415 - only needed on a terminal
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars  # noqa: PLC0415

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    with Bars(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks = {}

        def draw(progress: Progress) -> None:
            if progress.handle not in tasks:
                tasks[progress.handle] = bars.add_task(progress.handle)
            bars.update(tasks[progress.handle], completed=progress.done, total=progress.size)

        yield draw


def _nothing(progress: Progress) -> None:
    """A progress callback without effect."""
