"""A promise of an answer."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")


class PredictionFuture(Generic[Answer]):
    """An answer whose last step runs when `result` is first called. Safe to use from several threads.

    This one is for networks that ran before it was made; a model that leaves work on the device returns a subclass.
    """

    def __init__(self, finish: Callable[[], Answer]) -> None:
        self._finish = finish
        self._answers: list[Answer] = []
        self._lock = Lock()

    def submit_gpu_work(self) -> None:
        """Hand the work to the device if that has not happened yet. Here it has."""

    def done(self) -> bool:
        """Whether `result` need not wait for the device. Here it never does."""
        return True

    def result(self) -> Answer:
        """The answer; computed once, and an error of the last step is raised by every call."""
        with self._lock:
            if not self._answers:
                self._answers.append(self._finish())
            return self._answers[0]
