"""For authors of model packages and weights providers; the second of the two doors."""

from __future__ import annotations

from inference_models.entities import (
    FileDownloadSpecs,
    JetsonEnvironmentRequirements,
    ModelDependency,
    ModelMetadata,
    ModelPackageMetadata,
    ONNXPackageDetails,
    Quantization,
    ServerEnvironmentRequirements,
    TorchScriptPackageDetails,
    TRTPackageDetails,
)
from inference_models.package.code import code_digest
from inference_models.package.folder import get_model_package_contents
from inference_models.providers import get_model_from_provider, register_model_provider

__all__ = [
    "FileDownloadSpecs",
    "JetsonEnvironmentRequirements",
    "ModelDependency",
    "ModelMetadata",
    "ModelPackageMetadata",
    "ONNXPackageDetails",
    "Quantization",
    "ServerEnvironmentRequirements",
    "TRTPackageDetails",
    "TorchScriptPackageDetails",
    "code_digest",
    "get_model_from_provider",
    "get_model_package_contents",
    "register_model_provider",
]
