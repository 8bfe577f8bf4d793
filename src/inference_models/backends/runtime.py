"""What is known of a runtime without importing it: one record per backend, which everything else reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from inference_models.machine.libraries import find_library

if TYPE_CHECKING:
    from inference_models.entities import BackendType
    from inference_models.machine.libraries import Library

THREADS, EXECUTION_PROVIDERS = "threads", "execution_providers"
"""Settings that a runtime may have, as in `LoadOptions` and `AutoModel.from_pretrained`."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The record of one backend."""

    type: BackendType
    """Its name, and the format of the packages that are made for it."""
    order: int
    """Place among all runtimes that could run a model, the smallest first.

    An engine built for this very GPU leads (10); then what gives the same answers everywhere, the lighter runtime
    before the heavier one (20 to 50); then what is made for one kind of hardware and may round differently, the one on
    more machines first (60 to 80); then code of others; and last what runs nothing. Which of them is fastest here is a
    matter of measuring.
    """
    reads: tuple[BackendType, ...] = ()
    """Other formats it opens as well."""
    libraries: tuple[Library, ...] = ()
    """What it imports, its own library first; empty: nothing that could be missing."""
    requires: str = ""
    """Requirement on the distribution of its own library, for example `onnxruntime>=1.19`."""
    install: str | None = None
    """The command that installs it."""
    devices: tuple[str, ...] | None = None
    """Kinds of device it computes on, the usual one first; None: nobody can say."""
    systems: tuple[str, ...] = ()
    """How `Environment.system` begins where it exists; empty: it exists everywhere."""
    systems_text: str = ""
    """The same in words."""
    settings: frozenset[str] = frozenset()
    """Those of `THREADS` and `EXECUTION_PROVIDERS` that change its speed, so that measuring them is worth it."""

    @property
    def formats(self) -> tuple[BackendType, ...]:
        """Formats of packages it opens, its own first."""
        return (self.type, *self.reads)

    @property
    def library(self) -> Library | None:
        """Its own library; None where there is none that could be missing."""
        return self.libraries[0] if self.libraries else None

    def installed_version(self) -> Version | None:
        """Version of its own library, read from metadata without importing it; None when it is not installed."""
        distribution = None if self.library is None else find_library(self.library)
        if distribution is None:
            return None
        try:
            return Version(distribution.version)
        except InvalidVersion:
            return None
