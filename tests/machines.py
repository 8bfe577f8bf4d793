"""Machines laid out as files: system folders as Linux has them, and libraries as installers leave them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from inference_models.backends import default_place
from inference_models.machine.probe import read_environment

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.machine.environment import Environment
    from inference_models.machine.probe import Place


LIBRARIES = {library.name: library for library in default_place().libraries}
"""Every library that is looked for, by name."""


def read_place(place: Place, *, thorough: bool = False) -> Environment:
    """The facts of a machine, with the libraries of all runtimes."""
    known = default_place()
    return read_environment(replace(place, libraries=known.libraries, runtimes=known.runtimes), thorough=thorough)


def put(root: Path, path: str, text: str) -> Path:
    """Write a file below `root`; gives back where."""
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


def install(folder: Path, name: str, version: str = "1.0", **modules: str) -> Path:
    """Install a distribution with the modules it has (their code by name) into `folder`; gives back its metadata."""
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    put(metadata, "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    put(metadata, "RECORD", "")
    for module, code in modules.items():
        put(folder, f"{module}/__init__.py", code)
    return metadata
