"""Answers of the hosted API as descriptions of models. A package that makes no sense is left out, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from msgspec import Meta, Struct, field
from packaging.version import Version

from inference_models.entities import (
    BackendType,
    FileDownloadSpecs,
    JetsonEnvironmentRequirements,
    MemoryProfile,
    ModelDependency,
    ModelPackageMetadata,
    ONNXPackageDetails,
    Quantization,
    RecommendedParameters,
    ServerEnvironmentRequirements,
    SkippedPackage,
    TorchScriptPackageDetails,
    TRTPackageDetails,
    python_names,
)
from inference_models.errors import BaseInferenceModelsError, CorruptedModelPackageError, ModelRetrievalError
from inference_models.files.names import check_handles, check_package_id
from inference_models.package.text_files import MisfitError, fitted
from inference_models.record import Record
from inference_models.text import JsonRefusedError, scrub, shown, tolerant_object, too_deep
from inference_models.transport.redirects import check_url

if TYPE_CHECKING:
    from collections.abc import Callable

METADATA_TYPE = "external-model-metadata-v1"
PACKAGE_TYPE = "external-model-package-v1"
MAX_PACKAGES = 10_000
MAX_FILES = 1_000
RESERVED_HANDLES = frozenset({"dependencies", "model_config.json", "model_dependencies"})
"""First parts of file names that a package of the API must not have: clients write these files themselves."""
OTHER_RUNTIMES = frozenset({"oak-model-package-v1", "tfjs-model-package-v1", "mediapipe-model-package-v1"})
_KIND_SUFFIX = "-model-package-v1"
"""Before it stands what such a manifest states as `backendType`."""
_MAX_REASON = 500
_PUBLIC_VALUES = frozenset({"modelDependencies", "recommendedParameters"})
_UNNAMED = "(no packageId)"
T = TypeVar("T")


_Text = Annotated[str, Meta(max_length=4096)]
_Name = Annotated[str, Meta(min_length=1, max_length=512)]
_Count = Annotated[int, Meta(gt=0, lt=2**31)]


class _Wire(Struct, frozen=True, kw_only=True, rename="camel"):
    """Has camelCase names on the wire; unknown ones are ignored."""


class Manifest(_Wire, frozen=True, kw_only=True):
    """What a `packageManifest` states besides its type."""

    def facts(self) -> dict[str, Any]:
        """Fields of `ModelPackageMetadata`."""
        return {"quantization": Quantization.UNKNOWN}


def _from_fields(kind: Callable[..., T], *stated: Struct) -> T:
    """A `kind`, filled from the fields of the same names in `stated`."""
    known = set(kind.__struct_fields__)  # type: ignore[attr-defined]
    values = {name: getattr(part, name) for part in stated for name in part.__struct_fields__}
    return kind(**{name: value for name, value in values.items() if name in known})


class _Transformers(Manifest, frozen=True, kw_only=True):
    quantization: Quantization

    def facts(self) -> dict[str, Any]:
        return {"quantization": self.quantization}


class _BatchManifest(Manifest, frozen=True, kw_only=True):
    """A manifest that says which batches the package takes."""

    dynamic_batch_size: bool = False
    static_batch_size: _Count | None = None
    quantization: Quantization

    def __post_init__(self) -> None:
        """Refuse a manifest that states no batch, or two."""
        if self.dynamic_batch_size and self.static_batch_size is not None:
            raise ValueError("staticBatchSize is stated although dynamicBatchSize is true")
        if not self.dynamic_batch_size and self.static_batch_size is None:
            raise ValueError("staticBatchSize is missing although dynamicBatchSize is false")

    def facts(self) -> dict[str, Any]:
        return {
            "quantization": self.quantization,
            "dynamic_batch_size_supported": self.dynamic_batch_size,
            "static_batch_size": self.static_batch_size,
        }


class _Onnx(_BatchManifest, frozen=True, kw_only=True):
    opset: Annotated[int, Meta(gt=0, lt=10_000)]
    incompatible_providers: list[_Text] | None = None

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "onnx_package_details": _from_fields(ONNXPackageDetails, self)}


class _TorchScript(_BatchManifest, frozen=True, kw_only=True):
    supported_device_types: set[_Text]
    torch_version: Version
    torch_vision_version: Version | None = None

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "torch_script_package_details": _from_fields(TorchScriptPackageDetails, self)}


class _ServerSpecs(_Wire, frozen=True, kw_only=True, tag_field="type", tag="gpu-server-specs-v1"):
    driver_version: Version
    os_version: _Text


class _JetsonSpecs(_Wire, frozen=True, kw_only=True, tag_field="type", tag="jetson-machine-specs-v1"):
    l4t_version: Version
    jetson_product_name: _Text = field(name="deviceName")
    driver_version: Version


_MACHINES: dict[str, type[_Wire]] = {"gpu-server": _ServerSpecs, "jetson": _JetsonSpecs}


class _TensorRt(_BatchManifest, frozen=True, kw_only=True):
    """An engine, and the machine it was built on."""

    min_dynamic_batch_size: _Count | None = field(default=None, name="minBatchSize")
    opt_dynamic_batch_size: _Count | None = field(default=None, name="optBatchSize")
    max_dynamic_batch_size: _Count | None = field(default=None, name="maxBatchSize")
    cuda_device_name: _Text = field(name="cudaDeviceType")
    cuda_device_cc: Version = field(name="cudaDeviceCC")
    cuda_version: Version
    trt_version: Version
    same_cc_compatible: bool = field(default=False, name="sameCCCompatible")
    trt_forward_compatible: bool = False
    trt_lean_runtime_excluded: bool = False
    machine_type: Literal["gpu-server", "jetson"]
    machine_specs: _ServerSpecs | _JetsonSpecs

    def __post_init__(self) -> None:
        """Refuse an engine whose machine or batch is in doubt."""
        super().__post_init__()
        bounds = (self.min_dynamic_batch_size, self.opt_dynamic_batch_size, self.max_dynamic_batch_size)
        if self.dynamic_batch_size and None in bounds:
            raise ValueError("minBatchSize, optBatchSize and maxBatchSize are needed when dynamicBatchSize is true")
        agrees = isinstance(self.machine_specs, _MACHINES[self.machine_type])
        if not agrees:
            found = self.machine_specs.__struct_config__.tag
            raise ValueError(f"machineType is {self.machine_type!r} and machineSpecs are {found!r}")

    def facts(self) -> dict[str, Any]:
        specs = self.machine_specs
        kind = JetsonEnvironmentRequirements if isinstance(specs, _JetsonSpecs) else ServerEnvironmentRequirements
        return {
            **super().facts(),
            "trt_package_details": _from_fields(TRTPackageDetails, self),
            "environment_requirements": _from_fields(kind, self, specs),
        }


MANIFESTS: dict[str, tuple[BackendType, type[Manifest]]] = {
    "coreml-model-package-v1": (BackendType.COREML, _BatchManifest),
    "hf-model-package-v1": (BackendType.HF, _Transformers),
    # The next one and `openvino` are types of ours, which other clients of the API leave out.
    "litert-model-package-v1": (BackendType.LITERT, _BatchManifest),
    "onnx-model-package-v1": (BackendType.ONNX, _Onnx),
    "openvino-model-package-v1": (BackendType.OPENVINO, _BatchManifest),
    "torch-model-package-v1": (BackendType.TORCH, _BatchManifest),
    "torch-script-model-package-v1": (BackendType.TORCH_SCRIPT, _TorchScript),
    "trt-model-package-v1": (BackendType.TRT, _TensorRt),
    "ultralytics-model-package-v1": (BackendType.ULTRALYTICS, Manifest),
}
"""By the type that a `packageManifest` states."""


class _File(_Wire, frozen=True, kw_only=True):
    file_handle: _Text
    download_url: Annotated[str, Meta(max_length=65_536)]
    md5_hash: Annotated[str, Meta(pattern="^[0-9a-fA-F]{32}$", max_length=32)] | None = None
    # The next two are ours: `registry serve` states them, the hosted API does not.
    sha256_hash: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$", max_length=64)] | None = None
    size_bytes: Annotated[int, Meta(ge=0)] | None = None


class _Package(_Wire, frozen=True, kw_only=True):
    type: _Text
    package_id: _Text
    package_manifest: dict[str, Any]
    package_files: Annotated[list[_File], Meta(min_length=1, max_length=MAX_FILES)]
    model_features: dict[str, Any] | None = None
    trusted_source: bool = False
    recommended_parameters: RecommendedParameters | None = None
    memory_profile: Any = None


class Metadata(_Wire, frozen=True, kw_only=True):
    """What an answer says about the model as a whole."""

    type: _Text
    model_id: _Name
    model_architecture: _Name
    model_variant: _Text | None = None
    task_type: _Text | None = None
    model_dependencies: list[ModelDependency] | None = None
    model_packages: Annotated[list[Any], Meta(max_length=MAX_PACKAGES)]
    recommended_parameters: RecommendedParameters | None = None
    next_page: _Text | None = None
    license: _Text | None = None


class Page(Record, frozen=True):
    """One answer of the API."""

    model: Metadata
    packages: list[ModelPackageMetadata]
    skipped: list[SkippedPackage]


def parse_page(data: bytes, *, where: str) -> Page:
    """The model and the packages in one answer.

    Raises:
        ModelRetrievalError: the answer as a whole makes no sense.
    """
    answer = _load_json(data, where=where)
    if not isinstance(answer.get("modelMetadata"), dict):
        raise _no_metadata(where, "modelMetadata is missing" if "modelMetadata" not in answer else "another value")
    try:
        model = _read(Metadata, answer["modelMetadata"], strict=True)
    except MisfitError as exc:
        raise _no_metadata(where, str(exc)) from None
    if model.type != METADATA_TYPE:
        raise _no_metadata(where, f"type {model.type[:80]!a}")
    if not (model.model_id.isprintable() and model.model_architecture.isprintable()):
        raise _no_metadata(where, "a model id that cannot be shown")
    page = Page(model, [], [])
    for entry in model.model_packages:
        try:
            page.packages.append(_parse_package(entry))
        except (BaseInferenceModelsError, ValueError) as exc:
            page.skipped.append(SkippedPackage(_shown_id(entry), _one_line(exc)))
    return page


def manifest_facts(manifest: dict[str, Any]) -> dict[str, Any]:
    """Fields of `ModelPackageMetadata` that a `packageManifest` states, the backend among them.

    Raises:
        ValueError: it is of another kind, incomplete, or contradicts itself.
    """
    kind = str(manifest.get("type", "none"))
    if kind in OTHER_RUNTIMES:
        raise ValueError(f"{kind}: for a runtime this library does not use")
    if kind not in MANIFESTS:
        raise ValueError(f"packageManifest of type {kind[:80]!a}, which this release does not know")
    backend, model = MANIFESTS[kind]
    name = kind.removesuffix(_KIND_SUFFIX)
    stated = manifest.get("backendType", name)
    if stated != name:
        raise ValueError(f"backendType: needs {name!r}; found: {scrub(shown(stated))}")
    return {"backend": backend, **fitted(model, manifest).facts()}


def _parse_package(entry: Any) -> ModelPackageMetadata:
    if too_deep(entry):
        raise ValueError("values nested too deeply")
    package = _read(_Package, entry, strict=True)
    if package.type != PACKAGE_TYPE:
        raise ValueError(f"package of type {package.type[:80]!a}, which this release does not know")
    facts = manifest_facts(package.package_manifest)
    check_package_id(package.package_id)
    check_handles(file.file_handle for file in package.package_files)
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


def _artefact(file: _File) -> FileDownloadSpecs:
    if file.file_handle.partition("/")[0].lower() in RESERVED_HANDLES:
        raise ValueError(f"a file is called {file.file_handle[:80]!a}, which is kept for the library itself")
    return FileDownloadSpecs(
        download_url=check_url(file.download_url),
        file_handle=file.file_handle,
        md5_hash=file.md5_hash.lower() if file.md5_hash else None,
        sha256_hash=file.sha256_hash.lower() if file.sha256_hash else None,
        size=file.size_bytes,
    )


def _memory_profile(value: Any) -> MemoryProfile:
    try:
        return fitted(MemoryProfile, python_names(value if value is not None else {}))
    except MisfitError:
        return MemoryProfile()


def _read(model: type[T], value: Any, *, strict: bool = False) -> T:
    """`value` as `model`; the public values in it may have wire names or Python names."""
    if isinstance(value, dict):
        value = {key: python_names(item) if key in _PUBLIC_VALUES else item for key, item in value.items()}
    return fitted(model, value, strict=strict)


def _load_json(data: bytes, *, where: str) -> dict[str, object]:
    """The JSON object in `data`, with a marker where a part of it makes no sense."""
    try:
        return tolerant_object(data.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        found = f"a byte at position {exc.start} that is not UTF-8"
    except JsonRefusedError as exc:
        found = str(exc)
    raise ModelRetrievalError(f"{where} gave an answer that cannot be read.", needs="one JSON object", found=found)


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
