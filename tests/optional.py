"""Optional packages of tests: using one that is not installed skips the test that uses it, and says so."""

from __future__ import annotations

from typing import Any

import pytest


class _Optional:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(pytest.importorskip(self._name), attribute)


torch: Any = _Optional("torch")
supervision: Any = _Optional("supervision")
