"""Plug-ins of other distributions, from the files that installers leave beside them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference_models.machine.libraries import installed_distributions
from inference_models.machine.system_files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class EntryPoint:
    """One plug-in of a group."""

    name: str
    value: str
    """`package.module` or `package.module:attribute`."""

    def load(self) -> Any:
        """What it names; whatever importing it raises is raised here."""
        module, _, attribute = self.value.partition(":")
        found = importlib.import_module(module)
        return getattr(found, attribute) if attribute else found


def entry_points(group: str) -> Iterator[EntryPoint]:
    """The entry points of a group. As `importlib.metadata` gives them, without the time that its import takes."""
    for distribution in installed_distributions().values():
        section = ""
        for line in map(str.strip, read_text(distribution.metadata / "entry_points.txt").splitlines()):
            if line.startswith("["):
                section = line.strip("[] ")
            elif section == group and "=" in line:
                name, _, value = line.partition("=")
                yield EntryPoint(name.strip(), value.partition("[")[0].strip())
