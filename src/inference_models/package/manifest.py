"""`manifest.json`: which models a folder behind a URL offers, with the SHA-256 of every file.

Its JSON Schema lies beside this file; `manifest_schema` makes it from the classes here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self  # noqa: TC002 - pydantic reads the annotations of validators

from inference_models.entities import (
    BackendType,
    ModelDependency,
    Quantization,
    RecommendedParameters,
    SkippedPackage,
)
from inference_models.errors import CorruptedModelPackageError, ModelNotFoundError, nearest_hint
from inference_models.package.text_files import decode_text, parse_json_object, validate

FILE_NAME = "manifest.json"
SCHEMA_FILE = "manifest.schema.json"
FORMAT = 1
MAX_BYTES = 4 << 20
"""Some ten thousand files."""
MAX_PACKAGES = 256
_SEGMENT = "[A-Za-z0-9 ._+@=,()-]*[A-Za-z0-9_][A-Za-z0-9 ._+@=,()-]*"
_HANDLE_SEGMENT = "[A-Za-z0-9._-]*[A-Za-z0-9_-]"
_NO_PACKAGES_OF = frozenset({BackendType.CUSTOM, BackendType.NULL})


class _Entry(BaseModel):
    # Later releases may say more; what is said here keeps its meaning.
    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=(), use_attribute_docstrings=True)


class AnnouncedFile(_Entry):
    """One file of a package: below the folder of the manifest (`path`), or elsewhere (`url`)."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [key], "properties": {key: {"type": "string"}}} for key in ("path", "url")]
        }
    )

    handle: str = Field(pattern=rf"^{_HANDLE_SEGMENT}(/{_HANDLE_SEGMENT})*$", max_length=255)
    """Name inside the package folder, for example `weights.onnx`."""
    path: str | None = Field(default=None, pattern=rf"^{_SEGMENT}(/{_SEGMENT})*$", max_length=1024)
    """Where it is, below the folder of the manifest. Either this or `url`."""
    url: str | None = Field(default=None, pattern=r"^https?://[^\s#]+$", max_length=2048)
    """Where it is, when that is elsewhere; the host must be one the reader allows."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)
    """Bytes."""

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("either path or url")
        return self


class AnnouncedPackage(_Entry):
    """One package of a model."""

    package_id: str = Field(pattern=r"^[A-Za-z0-9]+$", max_length=64)
    backend: BackendType = Field(json_schema_extra={"not": {"enum": ["custom", "null"]}})
    """The runtime it is made for; packages with code of their own are loaded from folders only."""
    quantization: Quantization
    opset: int | None = Field(default=None, ge=1)
    """Of an ONNX graph."""
    dynamic_batch_size_supported: bool | None = None
    static_batch_size: int | None = Field(default=None, ge=1)
    model_features: dict[str, Any] | None = None
    """For example `{"nms_fused": {}}`."""
    files: list[AnnouncedFile] = Field(min_length=1)
    """Those of a package folder; `model_config.json` may be left out."""

    @model_validator(mode="after")
    def _can_be_taken(self) -> Self:
        if self.backend in _NO_PACKAGES_OF:
            raise ValueError("a backend other than custom and null: packages with code are loaded from folders only")
        return self


class AnnouncedModel(_Entry):
    """One model."""

    architecture: str = Field(min_length=1)
    """A family, for example `yolov8`, or `classifier` for any graph that gives class scores."""
    task_type: str = Field(min_length=1)
    """For example `object-detection`."""
    variant: str | None = None
    license: str | None = None
    """Of the weights, an SPDX expression."""
    source: str | None = None
    """Where the weights come from, in words."""
    description: str | None = None
    recommended_parameters: RecommendedParameters | None = None
    dependencies: list[ModelDependency] | None = None
    packages: list[AnnouncedPackage] = Field(min_length=1, max_length=MAX_PACKAGES)


class ModelManifest(_Entry):
    """The whole file."""

    schema_version: Literal[1]
    models: dict[Annotated[str, Field(min_length=1, max_length=256)], AnnouncedModel]
    """By model id."""


class _LooseManifest(_Entry):
    schema_version: Literal[1]
    models: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class ReadModel:
    """One model of a manifest, and its entries that this release cannot use."""

    model_id: str
    model: AnnouncedModel
    skipped: tuple[SkippedPackage, ...]


def read_model(data: bytes, model_id: str | None, *, where: str) -> ReadModel:
    """The model `model_id` of the manifest in `data`; None: the only one there is.

    A package that cannot be used is left out with the reason, as long as another one can.

    Raises:
        ModelNotFoundError: the manifest has no such model, or several and none was named.
        CorruptedModelPackageError: it is no manifest, or none of the packages can be used.
    """
    manifest = validate(_LooseManifest, parse_json_object(decode_text(data, where=where), where=where), where=where)
    name = _chosen(manifest.models, model_id, where=where)
    place = f"{where}: model {name!r}"
    stated: dict[str, Any] = manifest.models[name]
    packages: list[AnnouncedPackage] = []
    skipped: list[SkippedPackage] = []
    errors: list[CorruptedModelPackageError] = []
    entries = stated.get("packages")
    # What is no list of a few packages is refused as a whole, below.
    for index, entry in enumerate(entries if isinstance(entries, list) and len(entries) <= MAX_PACKAGES else ()):
        try:
            packages.append(_package(entry, packages, where=f"{place}: packages[{index}]"))
        except CorruptedModelPackageError as exc:
            errors.append(exc)
            package_id = str(entry.get("package_id", "") if isinstance(entry, dict) else "") or f"packages[{index}]"
            skipped.append(SkippedPackage(package_id[:64], " ".join(str(exc).split("\n"))[:500]))
    if errors and not packages:
        raise errors[0]
    model = validate(AnnouncedModel, {**stated, "packages": packages} if packages else stated, where=place)
    return ReadModel(name, model, tuple(skipped))


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of `manifest.json`, draft 2020-12."""
    schema = ModelManifest.model_json_schema(by_alias=False)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _package(entry: dict[str, Any], before: list[AnnouncedPackage], *, where: str) -> AnnouncedPackage:
    package = validate(AnnouncedPackage, entry, where=where)
    if package.package_id.lower() in {other.package_id.lower() for other in before}:
        raise CorruptedModelPackageError(
            f"{where} has the id of another package.", needs="ids that differ", found=repr(package.package_id)
        )
    return package


def _chosen(models: dict[str, dict[str, Any]], model_id: str | None, *, where: str) -> str:
    if model_id is None and len(models) == 1:
        return next(iter(models))
    if model_id is None:
        raise ModelNotFoundError(
            f"{where} holds {len(models)} models, and none was named.",
            needs="#model-id at the end of the URL",
            found="none",
            fix=", ".join(f"#{name}" for name in sorted(models)[:10]) or "publish one",
        )
    if model_id not in models:
        raise ModelNotFoundError(f"{where} has no model {model_id!r}; {nearest_hint(model_id, models)}.")
    return model_id
