"""A clock for the signatures of a registry, moved by the test."""

from __future__ import annotations

from inference_models.registry.access import Access


class Ticking:
    """Stands still until it is moved; while `broken`, no signature is ever fresh."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.broken = False
        self._reads = 0

    def access(self, *keys: str, lifetime: int = 3600) -> Access:
        return Access(keys=keys, lifetime=lifetime, clock=self.read)

    def read(self) -> float:
        self._reads += 1
        return self.now + (1e6 * self._reads if self.broken else 0)
