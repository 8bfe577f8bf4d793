"""What negotiation chooses among: a package together with the runtime that would open it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_models.backends import runtimes_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.entities import BackendType, ModelMetadata, ModelPackageMetadata


@dataclass(frozen=True)
class Candidate:
    """One package and one runtime that reads it."""

    package: ModelPackageMetadata
    runtime: BackendType

    @property
    def is_native(self) -> bool:
        """Whether the package is made for this runtime."""
        return self.package.backend is self.runtime

    @property
    def label(self) -> str:
        """For reports: `7c20 onnx fp32`, or `7c20 onnx fp32 through openvino`."""
        quantization = self.package.quantization.value if self.package.quantization else "unknown"
        through = "" if self.is_native else f" through {self.runtime.value}"
        return f"{self.package.package_id} {self.package.backend.value} {quantization}{through}"


def candidates_of(model: ModelMetadata) -> Iterator[Candidate]:
    """Every package with every runtime that reads it, in the order of the packages."""
    for package in model.model_packages:
        for runtime in runtimes_for(package.backend):
            yield Candidate(package, runtime)
