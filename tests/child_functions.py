"""What child processes of tests run."""

from __future__ import annotations

import time
from typing import Any


class Counter:
    """Adds up what it is told, and may fill the memory meanwhile."""

    def __init__(self) -> None:
        self.total = 0
        self.held: list[bytes] = []

    def __call__(self, add: int, megabytes: int = 0) -> dict[str, Any]:
        print("noise")
        if megabytes:
            self.held.append(b"1" * (megabytes << 20))
            time.sleep(60)
        self.total += add
        return {"total": self.total}
