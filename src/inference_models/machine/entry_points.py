"""Plug-ins of other distributions, from the files that installers leave beside them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference_models.machine.libraries import metadata_folders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
    for places in metadata_folders():
        content = next(filter(None, map(_content, places)), b"")
        if f"[{group}]".encode() not in content:
            continue  # nearly always, and all that is looked at where there are hundreds of them
        section = ""
        for line in map(str.strip, content.decode("utf-8", "replace").splitlines()):
            if line.startswith("["):
                section = line.strip("[] ")
            elif section == group and "=" in line:
                name, _, value = line.partition("=")
                yield EntryPoint(name.strip(), value.partition("[")[0].strip())


def _content(metadata: Path) -> bytes:
    try:
        with open(f"{metadata}/entry_points.txt", "rb") as file:  # noqa: PTH123 - a path object takes longer
            return file.read()
    except OSError:
        return b""
