"""Answers of the hosted API as descriptions of models. A package that makes no sense is left out, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError
from pydantic.alias_generators import to_camel

from inference_models.entities import (
    BackendType,
    FileDownloadSpecs,
    MemoryProfile,
    ModelDependency,
    ModelPackageMetadata,
    RecommendedParameters,
    SkippedPackage,
)
from inference_models.errors import BaseInferenceModelsError, CorruptedModelPackageError, ModelRetrievalError
from inference_models.files.names import check_handles, check_package_id
from inference_models.providers._wire_json import load_json, reason
from inference_models.providers._wire_manifests import MANIFESTS, OTHER_RUNTIMES, Manifest
from inference_models.text import too_deep
from inference_models.transport.redirects import check_url

METADATA_TYPE = "external-model-metadata-v1"
PACKAGE_TYPE = "external-model-package-v1"
MAX_PACKAGES = 10_000
MAX_FILES = 1_000
RESERVED_HANDLES = frozenset({"dependencies", "model_config.json", "model_dependencies"})
"""First parts of file names that a package of the API must not have: clients write these files themselves."""
_MAX_REASON = 500
_UNNAMED = "(no packageId)"
_Text = Annotated[str, Field(max_length=4096)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, protected_namespaces=())


class _File(_Wire):
    file_handle: _Text
    download_url: Annotated[str, Field(max_length=65_536)]
    md5_hash: Annotated[str, Field(pattern="^[0-9a-fA-F]{32}$")] | None = None
    # The next two are ours: `registry serve` states them, the hosted API does not.
    sha256_hash: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None
    size_bytes: Annotated[int, Field(ge=0)] | None = None


class _Package(_Wire):
    type: _Text
    package_id: _Text
    package_manifest: dict[str, Any]
    package_files: Annotated[list[_File], Field(min_length=1, max_length=MAX_FILES)]
    model_features: dict[str, Any] | None = None
    trusted_source: StrictBool = False
    recommended_parameters: RecommendedParameters | None = None
    memory_profile: Any = None


class _Metadata(_Wire):
    type: _Text
    model_id: Annotated[str, Field(min_length=1, max_length=512)]
    model_architecture: Annotated[str, Field(min_length=1, max_length=512)]
    model_variant: _Text | None = None
    task_type: _Text | None = None
    model_dependencies: list[ModelDependency] | None = None
    model_packages: Annotated[list[Any], Field(max_length=MAX_PACKAGES)]
    recommended_parameters: RecommendedParameters | None = None
    next_page: _Text | None = None
    license: _Text | None = None


@dataclass(frozen=True)
class Page:
    """One answer of the API."""

    model_id: str
    architecture: str
    variant: str | None
    task_type: str | None
    dependencies: list[ModelDependency] | None
    recommended: RecommendedParameters | None
    license: str | None
    next_page: str | None
    packages: list[ModelPackageMetadata]
    skipped: list[SkippedPackage]


def parse_page(data: bytes, *, where: str) -> Page:
    """The model and the packages in one answer.

    Raises:
        ModelRetrievalError: the answer as a whole makes no sense.
    """
    answer = load_json(data, where=where)
    if not isinstance(answer.get("modelMetadata"), dict):
        raise _no_metadata(where, "modelMetadata is missing" if "modelMetadata" not in answer else "another value")
    try:
        metadata = _Metadata.model_validate(answer["modelMetadata"])
    except ValidationError as exc:
        raise _no_metadata(where, reason(exc, answer["modelMetadata"])) from None
    if metadata.type != METADATA_TYPE:
        raise _no_metadata(where, f"type {metadata.type[:80]!a}")
    if not (metadata.model_id.isprintable() and metadata.model_architecture.isprintable()):
        raise _no_metadata(where, "a model id that cannot be shown")
    packages, skipped = _parse_packages(metadata.model_packages)
    return Page(
        model_id=metadata.model_id,
        architecture=metadata.model_architecture,
        variant=metadata.model_variant,
        task_type=metadata.task_type,
        dependencies=metadata.model_dependencies,
        recommended=metadata.recommended_parameters,
        license=metadata.license,
        next_page=metadata.next_page or None,
        packages=packages,
        skipped=skipped,
    )


def _parse_packages(entries: list[Any]) -> tuple[list[ModelPackageMetadata], list[SkippedPackage]]:
    packages: list[ModelPackageMetadata] = []
    skipped: list[SkippedPackage] = []
    for entry in entries:
        try:
            packages.append(_parse_package(entry))
        except (BaseInferenceModelsError, ValueError) as exc:
            skipped.append(SkippedPackage(_shown_id(entry), _one_line(exc)))
    return packages, skipped


def _parse_package(entry: Any) -> ModelPackageMetadata:
    if too_deep(entry):
        raise ValueError("values nested too deeply")
    package = _validated(_Package, entry)
    if package.type != PACKAGE_TYPE:
        raise ValueError(f"package of type {package.type[:80]!a}, which this release does not know")
    facts = _manifest_facts(package.package_manifest)
    check_package_id(package.package_id)
    check_handles(file.file_handle for file in package.package_files)
    _refuse_reserved(package.package_files)
    keeps_profile = facts["backend"] is not BackendType.COREML
    return ModelPackageMetadata(
        package_id=package.package_id,
        package_artefacts=[_artefact(file) for file in package.package_files],
        trusted_source=package.trusted_source,
        model_features=package.model_features,
        recommended_parameters=package.recommended_parameters,
        memory_profile=_memory_profile(package.memory_profile) if keeps_profile else MemoryProfile(),
        **facts,
    )


def _refuse_reserved(files: list[_File]) -> None:
    for file in files:
        if file.file_handle.partition("/")[0].lower() in RESERVED_HANDLES:
            raise ValueError(f"a file is called {file.file_handle[:80]!a}, which is kept for the library itself")


def _manifest_facts(manifest: dict[str, Any]) -> dict[str, Any]:
    kind = str(manifest.get("type", "none"))
    if kind in OTHER_RUNTIMES:
        raise ValueError(f"{kind}: for a runtime this library does not use")
    if kind not in MANIFESTS:
        raise ValueError(f"packageManifest of type {kind[:80]!a}, which this release does not know")
    validated: Manifest = _validated(MANIFESTS[kind], manifest)
    return validated.facts()


def _validated(model: type[BaseModel], value: Any) -> Any:
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        raise ValueError(reason(exc, value)) from None


def _artefact(file: _File) -> FileDownloadSpecs:
    return FileDownloadSpecs(
        download_url=check_url(file.download_url),
        file_handle=file.file_handle,
        md5_hash=file.md5_hash.lower() if file.md5_hash else None,
        sha256_hash=file.sha256_hash.lower() if file.sha256_hash else None,
        size=file.size_bytes,
    )


def _memory_profile(value: Any) -> MemoryProfile:
    try:
        return MemoryProfile.model_validate(value if value is not None else {})
    except ValidationError:
        return MemoryProfile()


def _shown_id(entry: Any) -> str:
    stated = entry.get("packageId") if isinstance(entry, dict) else None
    return ascii(stated[:80])[1:-1] if isinstance(stated, str) and stated else _UNNAMED


def _one_line(error: Exception) -> str:
    text = str(error)
    if isinstance(error, CorruptedModelPackageError):
        text = f"{error.summary.rstrip('.')}: {error.found}"
    line = "".join(character if character.isprintable() else " " for character in " ".join(text.split()))
    return line if len(line) <= _MAX_REASON else line[: _MAX_REASON - 3] + "..."


def _no_metadata(where: str, found: str) -> ModelRetrievalError:
    return ModelRetrievalError(
        f"{where} gave an answer that describes no model.",
        needs=f"modelMetadata of type {METADATA_TYPE!r}",
        found=found[:_MAX_REASON],
        fix="upgrade inference-models: the API may have changed",
    )
