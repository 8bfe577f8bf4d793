"""Runs a server in the foreground until somebody asks it to stop."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from inference_models.registry.server import RegistryServer


def run_until_stopped(server: RegistryServer) -> None:
    """Serve until SIGTERM or Ctrl-C, then let running requests end. Call it in the main thread."""
    asked = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    worker = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    worker.start()
    try:
        while not asked.wait(0.5) and worker.is_alive():
            pass
    finally:
        server.stop()
        for number, handler in previous.items():
            signal.signal(number, handler)
