"""Formats of packages: which file holds the weights, and what a bare file of that kind is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_models.entities import BackendType, PackageSourceType

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.entities import ModelPackageMetadata


@dataclass(frozen=True)
class WeightsFormat:
    """How one format lies in a folder."""

    weights: tuple[str, ...]
    """Files a package folder needs, the one that is opened first."""
    suffix: str
    """Of a bare file."""
    companion: str | None = None
    """Suffix of a second bare file that belongs to the first."""


FORMATS = {
    BackendType.LITERT: WeightsFormat(("weights.tflite",), ".tflite"),
    BackendType.ONNX: WeightsFormat(("weights.onnx",), ".onnx"),
    BackendType.OPENVINO: WeightsFormat(("weights.xml", "weights.bin"), ".xml", companion=".bin"),
    BackendType.TORCH_SCRIPT: WeightsFormat(("weights.torchscript",), ".torchscript"),
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
