"""A refusal is data; the words are made where it is printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference_models.entities import BackendType


@dataclass(frozen=True)
class Rejection:
    """Why one package cannot run here."""

    package_id: str
    check: str
    """Name of the check that refused."""
    needs: str
    found: str
    fix: str | None = None
    """One command or argument that would help; None when nothing would."""
    runtime: BackendType | None = None
    """The runtime that would have opened it; None: the one the package is made for."""
