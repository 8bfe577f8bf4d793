"""Calls with a deadline and a limit of memory, for models or images of strangers: limited.py MODEL IMAGE

A run cannot be ended inside of an operator, but a process can. This one loads the model once and answers until a call
takes too much; the next call starts another one.
"""

from __future__ import annotations

import resource  # POSIX; elsewhere a container limits the memory
import sys
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from inference_models import AutoModel

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess


def serve(pipe: Connection[Any, Any], model_id: str, memory: int, options: dict[str, Any]) -> None:
    """In the child: load the model, then answer each image."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    model = AutoModel.from_pretrained(model_id, **options)
    while True:
        pipe.send(model(pipe.recv()))


class LimitedModel:
    """A model in a process of its own."""

    def __init__(self, model_id: str, *, seconds: float = 10.0, memory: int = 4 << 30, **options: Any) -> None:
        self.model_id, self.seconds, self.memory, self.options = model_id, seconds, memory, options
        self.process: SpawnProcess | None = None

    def __call__(self, image: Any) -> Any:
        """What the model answers; `TimeoutError` or `EOFError` where that takes too long, or too much memory."""
        if self.process is None:
            self._start()
        self.pipe.send(image)
        try:
            if self.pipe.poll(self.seconds):
                return self.pipe.recv()
        except EOFError:
            self.close()
            raise
        self.close()
        raise TimeoutError(f"{self.model_id}: no answer within {self.seconds} s")

    def _start(self) -> None:
        self.pipe, theirs = get_context("spawn").Pipe()
        arguments = (theirs, self.model_id, self.memory, self.options)
        self.process = get_context("spawn").Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None


if __name__ == "__main__":
    limited = LimitedModel(sys.argv[1], seconds=float(sys.argv[3]) if len(sys.argv) > 3 else 60.0)
    print(limited(sys.argv[2]))
    limited.close()
