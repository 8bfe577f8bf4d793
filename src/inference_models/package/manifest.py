"""`manifest.json`: which models a folder behind a URL offers, with the SHA-256 of every file.

Its JSON Schema lies beside this file; `manifest_schema` makes it from the classes here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.json import schema

from inference_models.entities import (
    BackendType,
    ModelDependency,
    Quantization,
    RecommendedParameters,
    SkippedPackage,
    python_names,
)
from inference_models.errors import CorruptedModelPackageError, ModelNotFoundError, nearest_hint
from inference_models.files.prepared import prepared
from inference_models.package.text_files import convert, decode_text, parse_json_object
from inference_models.record import Record

FILE_NAME = "manifest.json"
SCHEMA_FILE = "manifest.schema.json"
FORMAT = 1
MAX_BYTES = 4 << 20
"""Some ten thousand files."""
MAX_PACKAGES = 256
# Each text fits these in one way only, so that no search for another costs time.
_SEGMENT = "[ .+@=,()-]*[A-Za-z0-9_][A-Za-z0-9 ._+@=,()-]*"
_HANDLE_SEGMENT = "[A-Za-z0-9._-]*[A-Za-z0-9_-]"
_NO_PACKAGES_OF = frozenset({BackendType.CUSTOM, BackendType.NULL})


_END = r"$(?!\n)"
"""The end of a text for Python, to which `$` is also what stands before a last line feed, and for JSON Schema."""
_ONE_PLACE = {"oneOf": [{"required": [key], "properties": {key: {"type": "string"}}} for key in ("path", "url")]}
_Handle = Annotated[
    str,
    Meta(
        pattern=rf"^{_HANDLE_SEGMENT}(/{_HANDLE_SEGMENT})*{_END}",
        max_length=255,
        description="Name inside the package folder, for example `weights.onnx`.",
    ),
]
_Path = Annotated[
    str,
    Meta(
        pattern=rf"^{_SEGMENT}(/{_SEGMENT})*{_END}",
        max_length=1024,
        description="Where it is, below the folder of the manifest. Either this or `url`.",
    ),
]
_Url = Annotated[
    str,
    Meta(
        pattern=rf"^https?://[^\s#]+{_END}",
        max_length=2048,
        description="Where it is, when that is elsewhere; the host must be one the reader allows.",
    ),
]
_Sha256 = Annotated[str, Meta(pattern=f"^[0-9a-f]{{64}}{_END}")]
_Named = Annotated[str, Meta(min_length=1)]
_ModelId = Annotated[str, Meta(min_length=1, max_length=256)]
_Count = Annotated[int, Meta(ge=1)]


# Later releases may say more, which is ignored; what is said here keeps its meaning.
class AnnouncedFile(Struct, frozen=True):
    """One file of a package: below the folder of the manifest (`path`), or elsewhere (`url`)."""

    handle: _Handle
    sha256: _Sha256
    size: Annotated[int, Meta(ge=0, description="Bytes.")]
    path: _Path | None = None
    url: _Url | None = None

    def __post_init__(self) -> None:
        """Refuse a file in no place, and one in two."""
        if (self.path is None) == (self.url is None):
            raise ValueError("either path or url")


class AnnouncedPackage(Struct, frozen=True):
    """One package of a model."""

    package_id: Annotated[str, Meta(pattern=f"^[A-Za-z0-9]+{_END}", max_length=64)]
    backend: Annotated[
        BackendType,
        Meta(
            description="The runtime it is made for; packages with code of their own are loaded from folders only.",
            extra_json_schema={"not": {"enum": ["custom", "null"]}},
        ),
    ]
    quantization: Quantization
    files: Annotated[
        list[Annotated[AnnouncedFile, Meta(extra_json_schema=_ONE_PLACE)]],
        Meta(min_length=1, description="Those of a package folder; `model_config.json` may be left out."),
    ]
    opset: Annotated[int, Meta(ge=1, description="Of an ONNX graph.")] | None = None
    dynamic_batch_size_supported: bool | None = None
    static_batch_size: _Count | None = None
    model_features: Annotated[dict[str, Any], Meta(description='For example `{"nms_fused": {}}`.')] | None = None

    def __post_init__(self) -> None:
        """Refuse packages with code."""
        if self.backend in _NO_PACKAGES_OF:
            raise ValueError("a backend other than custom and null: packages with code are loaded from folders only")


class AnnouncedModel(Struct, frozen=True):
    """One model."""

    architecture: Annotated[
        str,
        Meta(
            min_length=1,
            description="A family, for example `yolov8`, or `classifier` for any graph that gives class scores.",
        ),
    ]
    task_type: Annotated[str, Meta(min_length=1, description="For example `object-detection`.")]
    packages: Annotated[list[AnnouncedPackage], Meta(min_length=1, max_length=MAX_PACKAGES)]
    variant: str | None = None
    license: Annotated[str, Meta(description="Of the weights, an SPDX expression.")] | None = None
    source: Annotated[str, Meta(description="Where the weights come from, in words.")] | None = None
    description: str | None = None
    recommended_parameters: RecommendedParameters | None = None
    dependencies: list[ModelDependency] | None = None


class ModelManifest(Struct, frozen=True):
    """The whole file."""

    schema_version: Literal[1]
    models: Annotated[dict[_ModelId, AnnouncedModel], Meta(description="By model id.")]


class _LooseManifest(Struct, frozen=True):
    schema_version: Literal[1]
    models: dict[str, dict[str, Any]]


class ReadModel(Record, frozen=True):
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
    manifest = convert(_LooseManifest, parse_json_object(decode_text(data, where=where), where=where), where=where)
    name = _chosen(manifest.models, model_id, where=where)
    place = f"{where}: model {name!r}"
    public = ("recommended_parameters", "dependencies")
    stated = {key: python_names(item) if key in public else item for key, item in manifest.models[name].items()}
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
    model = convert(AnnouncedModel, {**stated, "packages": packages} if packages else stated, where=place)
    return ReadModel(name, model, tuple(skipped))


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of `manifest.json`, draft 2020-12."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema(prepared(ModelManifest))}


def _package(entry: dict[str, Any], before: list[AnnouncedPackage], *, where: str) -> AnnouncedPackage:
    package = convert(AnnouncedPackage, entry, where=where)
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
