"""Formats of packages: the files with weights, the suffix of bare files, and which files have which role."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import TYPE_CHECKING

from inference_models.entities import BackendType, PackageSourceType
from inference_models.errors import CorruptedModelPackageError, ModelImplementationNotFoundError
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from inference_models.entities import ModelPackageMetadata

HF_CONFIG = "config.json"
"""What Transformers and timm write about a network, beside its weights."""


class WeightsFormat(Record, frozen=True):
    """How one format lies in a folder."""

    weights: tuple[str, ...]
    """Files a package folder needs, the one that is opened first."""
    suffix: str
    """Of a bare file."""
    reader: str
    """Module of this package whose `read_graph` tells the facts about a graph from its file."""
    companion: str | None = None
    """Suffix of a second bare file that belongs to the first."""


FORMATS = {
    BackendType.LITERT: WeightsFormat(("weights.tflite",), ".tflite", "tflite_file"),
    BackendType.ONNX: WeightsFormat(("weights.onnx",), ".onnx", "onnx_file"),
    BackendType.OPENVINO: WeightsFormat(("weights.xml", "weights.bin"), ".xml", "openvino_file", companion=".bin"),
    BackendType.TORCH_SCRIPT: WeightsFormat(("weights.torchscript",), ".torchscript", "torchscript_file"),
}
"""Formats whose weights are one graph that its runtime opens as it is."""


def holds_no_code(kind: BackendType) -> bool:
    """Whether packages of a format are numbers and operators only, so that opening one runs nothing of its maker's."""
    return kind in FORMATS and kind is not BackendType.TORCH_SCRIPT


def needs_consent(package: ModelPackageMetadata) -> bool:
    """Whether it brings code that runs only with the caller's consent to its content.

    Python of a package always does. A TorchScript archive, which is a program for PyTorch's interpreter, does unless
    its provider vouches for it; a path is nobody's word.
    """
    if package.backend is BackendType.TORCH_SCRIPT:
        return not package.trusted_source or package.package_source is PackageSourceType.LOCAL_CACHE
    return package.backend is BackendType.CUSTOM


def bare_files(path: Path, kind: BackendType) -> dict[str, Path]:
    """The files of a bare model by the handles they have in a package, whether they exist or not."""
    form = FORMATS[kind]
    suffixes = [path.suffix, *([form.companion] if form.companion else [])]
    return {handle: path.with_suffix(suffix) for handle, suffix in zip(form.weights, suffixes, strict=True)}


def is_graph(pattern: str) -> bool:
    """Whether a pattern is that of a graph: those have no suffix, for each format of packages has its own."""
    return not PurePath(pattern).suffix


def files_by_role(
    files: Mapping[str, Path],
    patterns: Mapping[str, str],
    kind: BackendType,
    *,
    label: str,
    optional: Collection[str] = (),
) -> dict[str, Path]:
    """The one file for each role.

    Args:
        files: of a package, by handle.
        patterns: of handles, by role, such as `*encoder*` for a graph and `vocab.json` for anything else.
        kind: the format of the package.
        label: the model in error texts.
        optional: roles that may have none, and are left out then.

    Raises:
        CorruptedModelPackageError: a role has no file, or several.
        ModelImplementationNotFoundError: packages of this format hold one graph.
    """
    if patterns and kind not in FORMATS and kind is not BackendType.HF:
        raise ModelImplementationNotFoundError(
            f"{label} consists of several graphs, and packages of format {kind.value!r} hold one.",
            needs=", ".join(sorted(form.value for form in FORMATS)),
            found=kind.value,
        )
    wanted = {role: _pattern_in(kind, pattern) for role, pattern in patterns.items()}
    matching = {role: sorted(name for name in files if fnmatchcase(name.lower(), wanted[role])) for role in wanted}
    return {
        role: _only(files, role, wanted[role], found, label)
        for role, found in matching.items()
        if found or role not in optional
    }


def _pattern_in(kind: BackendType, pattern: str) -> str:
    """The pattern of a file; the parts of a network of Transformers are in one."""
    if not is_graph(pattern):
        return pattern
    return HF_CONFIG if kind is BackendType.HF else pattern + FORMATS[kind].suffix


def _only(files: Mapping[str, Path], role: str, pattern: str, matching: list[str], label: str) -> Path:
    if len(matching) == 1:
        return files[matching[0]]
    raise CorruptedModelPackageError(
        f"{label} has {'several files' if matching else 'no file'} for its {role}.",
        needs=f"one file {pattern}",
        found=", ".join(matching or sorted(files)),
    )
