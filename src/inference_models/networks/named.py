"""Parameters of a network of another library by the names that they have in a file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

WRAPPED = "network."
"""What the names begin with in a module that holds the other network as `network`."""


def names_in_files(module: nn.Module, rules: Sequence[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    """Name in the file to those of the module, several where the file has them as one tensor, one below the other."""
    found: dict[str, list[str]] = {}
    for own in module.state_dict():
        name = own.removeprefix(WRAPPED)
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        found.setdefault(name, []).append(own)
    return {name: tuple(owns) for name, owns in found.items()}
