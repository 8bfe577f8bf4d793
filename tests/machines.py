"""Machines laid out as files: system folders as Linux has them, and libraries as installers leave them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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
