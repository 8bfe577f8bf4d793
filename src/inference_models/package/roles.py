"""Files of a package by what they are for: what a family calls `encoder`, whatever its exporter called it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import TYPE_CHECKING

from inference_models.errors import CorruptedModelPackageError, ModelImplementationNotFoundError
from inference_models.package.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference_models.entities import BackendType


def is_graph(pattern: str) -> bool:
    """Whether a pattern is that of a graph: those have no suffix, for each format of packages has its own."""
    return not PurePath(pattern).suffix


def files_by_role(
    files: Mapping[str, Path], patterns: Mapping[str, str], kind: BackendType, *, label: str
) -> dict[str, Path]:
    """The one file for each role.

    Args:
        files: of a package, by handle.
        patterns: of handles, by role, such as `*encoder*` for a graph and `vocab.json` for anything else.
        kind: the format of the package.
        label: the model in error texts.

    Raises:
        CorruptedModelPackageError: a role has no file, or several.
        ModelImplementationNotFoundError: packages of this format hold one graph.
    """
    if patterns and kind not in FORMATS:
        raise ModelImplementationNotFoundError(
            f"{label} consists of several graphs, and packages of format {kind.value!r} hold one.",
            needs=", ".join(sorted(form.value for form in FORMATS)),
            found=kind.value,
        )
    suffix = FORMATS[kind].suffix if kind in FORMATS else ""
    wanted = {role: pattern + suffix * is_graph(pattern) for role, pattern in patterns.items()}
    return {role: _only(files, role, pattern, label) for role, pattern in wanted.items()}


def _only(files: Mapping[str, Path], role: str, pattern: str, label: str) -> Path:
    matching = sorted(handle for handle in files if fnmatchcase(handle.lower(), pattern))
    if len(matching) == 1:
        return files[matching[0]]
    raise CorruptedModelPackageError(
        f"{label} has {'several files' if matching else 'no file'} for its {role}.",
        needs=f"one file {pattern}",
        found=", ".join(matching or sorted(files)),
    )
