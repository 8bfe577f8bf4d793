"""What the packages of a folder are called: one rule, for the server and for the manifest.

A folder with `model_config.json` is a package. It belongs to the model named by the folder it lies in, and the folder
is a model of its own instead when

* it lies directly in the root, or
* its name is a version number (`team/pets/3`), or
* the packages beside it are of other models (`acme/resnet` beside `acme/yolo`), or
* its `model_config.json` says so: `"model_id": "acme/resnet"`. The key decides in both directions, when it is one of
  the two names that are possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class PlacedPackage:
    """A package folder, as far as its name goes."""

    folder: str
    """Below the root, with forward slashes."""
    model: Mapping[str, Any]
    """Architecture, task and the like: packages of one model state the same."""
    stated: str | None = None
    """The `model_id` of its `model_config.json`."""


def models_of(packages: list[PlacedPackage]) -> dict[str, list[PlacedPackage]]:
    """The packages of one folder by the id of their model, both in the order of the folders' names."""
    own: list[PlacedPackage] = []
    joint: list[PlacedPackage] = []
    for package in sorted(packages, key=lambda item: item.folder):
        path = PurePosixPath(package.folder)
        alone = len(path.parts) == 1 or package.stated == package.folder
        joins = package.stated == path.parent.as_posix() or not path.name.isdecimal()
        (own if alone or not joins else joint).append(package)
    if any(package.model != joint[0].model for package in joint):
        own, joint = sorted([*own, *joint], key=lambda item: item.folder), []
    named = {package.folder: [package] for package in own}
    if joint:
        named[PurePosixPath(joint[0].folder).parent.as_posix()] = joint
    return named
