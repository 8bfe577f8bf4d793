"""`model_config.json`: which architecture and runtime a folder is for, or which code it brings."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from inference_models.entities import BackendType, ModelDependency, Quantization, RecommendedParameters
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.text_files import convert, parse_json_object

FILE_NAME = "model_config.json"
MODEL_TYPE = "model_type.json"
"""Of packages that hold weights alone: which size of the architecture they are of."""


class ModelConfig(Struct, frozen=True, kw_only=True):
    """What `model_config.json` says. Unknown keys are ignored.

    `trusted_source` is read for its type and has no effect: a package cannot vouch for itself.
    """

    model_architecture: str | None = None
    task_type: str | None = None
    backend_type: BackendType | None = None
    model_module: str | None = None
    model_class: str | None = None
    quantization: Quantization | None = None
    model_features: dict[str, Any] | None = None
    recommended_parameters: RecommendedParameters | None = None
    model_dependencies: list[ModelDependency] | None = None
    trusted_source: bool | None = None
    dynamic_batch_size_supported: bool | None = None
    static_batch_size: Annotated[int, Meta(ge=1)] | None = None
    offline_manifest_version: int | None = None
    model_id: str | None = None
    canonical_model_id: str | None = None

    @property
    def is_code_package(self) -> bool:
        """Whether the folder brings its own Python class instead of naming an architecture of this library."""
        return self.model_architecture is None or self.backend_type is None


def parse_model_config(text: str, *, where: str = FILE_NAME) -> ModelConfig:
    """The configuration in `text`: a library model, or a code package.

    Raises:
        CorruptedModelPackageError: a value has the wrong type, or the file describes neither kind.
    """
    config = convert(ModelConfig, parse_json_object(text, where=where), where=where, strict=True)
    if config.is_code_package and not (config.model_module and config.model_class):
        raise CorruptedModelPackageError(
            f"{where} does not say how to load the package.",
            needs="model_architecture and backend_type, or model_module and model_class",
            found=_stated_keys(config),
        )
    return config


def _stated_keys(config: ModelConfig) -> str:
    keys = ("model_architecture", "backend_type", "model_module", "model_class")
    return ", ".join(key for key in keys if getattr(config, key)) or "none of them"
