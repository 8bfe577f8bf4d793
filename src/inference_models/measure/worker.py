"""Serves in a child process: one model that is opened, called, timed, and asked for its answers."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from inference_models.measure.job import load_job
from inference_models.parity.answers import (
    Answer,
    ReferenceAnswers,
    ask_other,
    ask_reference,
    call_of,
    low_threshold,
)
from inference_models.parity.compare import predictions_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import NumpyArray

_NAMES = "names"


class Worker:
    """One model, and the images it is run on. Messages name a method and its arguments."""

    def __init__(self) -> None:
        self._model: Any = None
        self._images: list[NumpyArray] = []

    def __call__(self, op: str, **options: Any) -> dict[str, Any]:
        """The answer to one message."""
        operations: dict[str, Callable[..., dict[str, Any]]] = {
            "answers": self.answers,
            "compare_outputs": self.compare_outputs,
            "open": self.open,
            "run": self.run,
            "save_outputs": self.save_outputs,
        }
        return operations[op](**options)

    def open(self, job: str, images: list[str]) -> dict[str, Any]:
        """Load the model; the seconds include the import of its runtime."""
        self._images = [np.load(path, allow_pickle=False) for path in images]
        started = time.perf_counter()
        self._model = load_job(json.loads(job))
        seconds = time.perf_counter() - started
        resolved = getattr(self._model, "resolved_model", None)
        return {"seconds": seconds, "device": getattr(resolved, "device", None)}

    def run(self, times: int, image: int = 0, seconds: float = 0.0) -> dict[str, Any]:
        """Seconds of each call, pre-processing included, of at least so many calls and for so long.

        The first is with `image`; with a time to fill, the others go through all images.
        """
        found: list[float] = []
        until = time.perf_counter() + seconds
        while len(found) < times or time.perf_counter() < until:
            chosen = self._images[(image + len(found) * (seconds > 0)) % len(self._images)]
            started = time.perf_counter()
            call_of(self._model)(chosen)
            found.append(time.perf_counter() - started)
        return {"times": found}

    def answers(self, images: int) -> dict[str, Any]:
        """The predictions for the first images, those with low scores included."""
        options = low_threshold(self._model)
        found = [
            prediction.numpy()
            for image in self._images[:images]
            for prediction in predictions_in(call_of(self._model)(image, **options))
        ]
        return {"answers": [each.to_dict() for each in found]}

    def save_outputs(self, images: int, path: str) -> dict[str, Any]:
        """For how many of the first images there are raw outputs; they and the network inputs are in the file then."""
        answers = ask_reference(self._model, self._images[:images]).kept
        kept = [answer for answer in answers if answer.inputs is not None]
        if kept:
            arrays: dict[str, Any] = {_NAMES: np.array(list(kept[0].outputs), dtype=np.str_)}
            for number, answer in enumerate(kept):
                for place, array in enumerate((answer.inputs, *answer.outputs.values())):
                    arrays[f"{number}-{place}"] = array
            np.savez(path, **arrays)
        return {"saved": len(kept)}

    def compare_outputs(self, path: str) -> dict[str, Any]:
        """How far the raw outputs are from those in the file, for the same network inputs."""
        reference = ReferenceAnswers()
        with np.load(path, allow_pickle=False) as stored:
            names = [str(name) for name in stored[_NAMES]]
            count = sum(key.endswith("-0") for key in stored.files)
            for number in range(count):
                outputs = {name: stored[f"{number}-{place}"] for place, name in enumerate(names, 1)}
                reference.kept.append(Answer((), stored[f"{number}-0"], outputs))
        found: dict[str, Any] = msgspec.to_builtins(
            ask_other(self._model, self._images[:count], reference)[1].deviation()
        )
        return found
