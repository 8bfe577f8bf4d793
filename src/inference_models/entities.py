"""Small public types, and what a weights provider says about a model."""

from __future__ import annotations

import re
from collections import namedtuple
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from msgspec import field
from packaging.version import Version

from inference_models.record import Record, replace
from inference_models.text import without_query

ColorFormat = Literal["rgb", "bgr"]
Confidence: TypeAlias = float | Literal["best", "default"]
InstanceSegmentationMaskFormat = Literal["dense", "polygons", "rle"]
BACKEND_PLUGINS = "inference_models.backends"
"""Group of the entry points under which other distributions register backends, by the name of their runtime."""
ImageDimensions = namedtuple("ImageDimensions", ["height", "width"])
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}")


class BackendType(str, Enum):
    """The runtime a package is made for; the values are those of the wire format."""

    TORCH = "torch"
    TORCH_SCRIPT = "torch-script"
    ONNX = "onnx"
    TRT = "trt"
    HF = "hugging-face"
    ULTRALYTICS = "ultralytics"
    CUSTOM = "custom"
    VLLM = "vllm"
    COREML = "coreml"
    OPENVINO = "openvino"
    """OpenVINO IR, `weights.xml` with `weights.bin`; the runtime reads ONNX packages as well."""
    LITERT = "litert"
    """A FlatBuffer, `weights.tflite`."""
    NULL = "null"
    """Runs nothing and answers with fixed arrays: for tests, and to measure all but the graph."""

    @classmethod
    def _missing_(cls, value: object) -> BackendType | None:
        """A runtime that is none of the above: one that a plug-in or a file of `backends` brings under this name."""
        if not isinstance(value, str) or not _brings_backend(value):
            return None
        member = str.__new__(cls, value)
        member._name_, member._value_ = value.upper().replace("-", "_"), value
        return cast("BackendType", cls._value2member_map_.setdefault(value, member))


def _brings_backend(name: str) -> bool:
    file_name = f"{name.replace('-', '_')}.py"
    if name.replace("-", "").isalnum() and Path(__file__).with_name("backends").joinpath(file_name).is_file():
        return True
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow to import, and asked for unknown names alone

    return name in entry_points(group=BACKEND_PLUGINS).names


class Quantization(str, Enum):
    """The number format of the weights."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"
    UNKNOWN = "unknown"


class PreProcessingOverrides(Record, frozen=True):
    """Steps of the package's pre-processing that one call leaves out."""

    disable_contrast_enhancement: bool = False
    disable_grayscale: bool = False
    disable_static_crop: bool = False


class ResolvedModelMetadata(Record, frozen=True):
    """The loaded package, its backend and device: set as `model.resolved_model` by every load through `AutoModel`."""

    model_id: str
    model_package_id: str
    backend: str
    """The runtime in use; `onnx` is ONNX Runtime."""
    quantization: str
    device: str = "cpu"
    """Where the session runs, as the runtime reports it after it was opened."""
    execution_providers: tuple[str, ...] = ()
    """Of ONNX Runtime, as it reports them after the session was opened, first choice first."""
    threads: int | None = None
    """Threads of one run on the CPU; None: the runtime's own choice, or a model with code of its own."""
    package_format: str | None = None
    """What the package is made for; differs from `backend` where another runtime reads it."""
    selected_by: str = "order"
    """Why this one: `order`, `measured`, `package id`, `remembered` or `lock`."""
    license: str | None = None
    """The licence of the weights as their source states it; None when it states none."""


def camel_case(name: str) -> str:
    """`name` as the wire format writes it: `peak_vram_mb` is `peakVramMb`."""
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def python_names(value: Any) -> Any:
    """`value`, a mapping or a list of mappings, with Python names where it has those of the wire format."""
    if isinstance(value, list):
        return [python_names(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", key): item for key, item in value.items()}


class RecommendedParameters(Record, frozen=True, kw_only=True):
    """Thresholds the people who trained the model recommend; used by `confidence="best"`."""

    confidence: float | None = None
    """From 0 to 1."""
    per_class_confidence: dict[str, float] | None = None
    """Class name -> threshold; honoured only when `confidence` is given too."""

    def __post_init__(self) -> None:
        """Refuse a threshold that no score has."""
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence is {self.confidence}, and scores are between 0 and 1")


class ModelDependency(Record, frozen=True, kw_only=True):
    """Another model that this one needs."""

    name: str
    model_id: str
    model_package_id: str | None = None


class MemoryProfile(Record, frozen=True, kw_only=True):
    """Peak device memory by batch size, as measured by the author of the package."""

    peak_vram_mb: dict[int, int] = field(default_factory=dict)

    def vram_for_batch(self, batch_size: int) -> int | None:
        """MB for the smallest known batch of at least `batch_size`, else the largest known; None when unknown."""
        if not self.peak_vram_mb:
            return None
        fitting = [known for known in self.peak_vram_mb if known >= batch_size]
        return self.peak_vram_mb[min(fitting) if fitting else max(self.peak_vram_mb)]


class FileDownloadSpecs(Record, frozen=True):
    """One file of a package, to be fetched by the provider that announced it."""

    download_url: str
    file_handle: str
    """Name of the file inside the package folder, with forward slashes."""
    md5_hash: str | None = None
    sha256_hash: str | None = None
    size: int | None = None
    """Bytes."""


class FileFacts(Record, frozen=True, kw_only=True):
    """What one file of a package holds: the same in the cache, in a lock, in a bundle and in a registry."""

    handle: str
    """Name of the file inside the package folder, with forward slashes."""
    size: int
    """Bytes."""
    sha256: str
    md5: str | None = None
    """Where one is known: sources that state no SHA-256 are compared by it."""

    def __post_init__(self) -> None:
        """Refuse what is no size or no hash."""
        right = _SHA256.fullmatch(self.sha256) and (self.md5 is None or _MD5.fullmatch(self.md5))
        if self.size < 0 or not right:
            raise ValueError(f"the size or a hash of {self.handle!a} is none")

    def at(self, url: str) -> FileDownloadSpecs:
        """The same file, to be fetched from `url`."""
        return FileDownloadSpecs(url, self.handle, md5_hash=self.md5, sha256_hash=self.sha256, size=self.size)


class LocalFileArtefactSpecs(Record, frozen=True):
    """One file of a package that already lies in a folder of the user; it is used in place."""

    file_handle: str
    path: Path


class InlineFileSpecs(Record, frozen=True):
    """One small text file of a package whose content the catalogue itself states."""

    file_handle: str
    text: str


ArtefactSpecs: TypeAlias = FileDownloadSpecs | LocalFileArtefactSpecs | InlineFileSpecs


class ONNXPackageDetails(Record, frozen=True):
    """Facts about an ONNX graph."""

    opset: int
    incompatible_providers: list[str] | None = None


class TRTPackageDetails(Record, frozen=True):
    """Facts about a TensorRT engine."""

    min_dynamic_batch_size: int | None = None
    opt_dynamic_batch_size: int | None = None
    max_dynamic_batch_size: int | None = None
    same_cc_compatible: bool = False
    trt_forward_compatible: bool = False
    trt_lean_runtime_excluded: bool = False


class TorchScriptPackageDetails(Record, frozen=True):
    """Facts about a TorchScript archive."""

    supported_device_types: set[str]
    torch_version: Version
    torch_vision_version: Version | None = None


class ServerEnvironmentRequirements(Record, frozen=True):
    """The GPU server an engine was built on."""

    cuda_device_cc: Version
    cuda_device_name: str
    driver_version: Version | None = None
    cuda_version: Version | None = None
    trt_version: Version | None = None
    os_version: str | None = None


class JetsonEnvironmentRequirements(Record, frozen=True):
    """The Jetson an engine was built on."""

    cuda_device_cc: Version
    cuda_device_name: str
    l4t_version: Version
    jetson_product_name: str | None = None
    cuda_version: Version | None = None
    trt_version: Version | None = None
    driver_version: Version | None = None


if TYPE_CHECKING:
    EnvironmentRequirements: TypeAlias = ServerEnvironmentRequirements | JetsonEnvironmentRequirements
else:  # readers of JSON cannot tell two classes apart
    EnvironmentRequirements = Any


class PackageSourceType(str, Enum):
    """Where a package comes from."""

    PLATFORM = "platform"
    LOCAL_CACHE = "local_cache"


class ModelPackageMetadata(Record, frozen=True):
    """One package of a model: the files and what a machine needs to run them."""

    package_id: str
    backend: BackendType
    package_artefacts: list[Any]
    """`FileDownloadSpecs`, `LocalFileArtefactSpecs` or `InlineFileSpecs`."""
    package_source: PackageSourceType = PackageSourceType.PLATFORM
    quantization: Quantization | None = None
    dynamic_batch_size_supported: bool | None = None
    static_batch_size: int | None = None
    trt_package_details: TRTPackageDetails | None = None
    onnx_package_details: ONNXPackageDetails | None = None
    torch_script_package_details: TorchScriptPackageDetails | None = None
    trusted_source: bool = False
    environment_requirements: EnvironmentRequirements | None = None
    model_features: dict[str, Any] | None = None
    recommended_parameters: RecommendedParameters | None = None
    cache_model_id: str | None = None
    memory_profile: MemoryProfile = field(default_factory=MemoryProfile)
    operator_faults: tuple[str, ...] | None = None
    """What its graph has that a release of a runtime is known to get wrong; None: nothing, or nobody has looked."""

    def specifies_dynamic_batch_boundaries(self) -> bool:
        """Whether the package takes any batch size within stated bounds."""
        return bool(self.dynamic_batch_size_supported) and bool(self._stated_bounds())

    def get_dynamic_batch_boundaries(self) -> tuple[int, int]:
        """Smallest and largest stated batch size.

        Raises:
            RuntimeError: the package states no bounds.
        """
        bounds = self._stated_bounds()
        if not bounds:
            raise RuntimeError(f"package {self.package_id!r} states no batch bounds")
        return min(bounds), max(bounds)

    def get_summary(self) -> str:
        """One line: id, backend, quantization and batch mode."""
        batch = "dynamic" if self.dynamic_batch_size_supported else str(self.static_batch_size or "not stated")
        return f"{self.package_id}  {format_text(self.backend, self.quantization)}  batch {batch}"

    def _stated_bounds(self) -> list[int]:
        details = self.trt_package_details
        if details is None:
            return []
        values = (details.min_dynamic_batch_size, details.opt_dynamic_batch_size, details.max_dynamic_batch_size)
        return [value for value in values if value is not None]


def format_text(backend: BackendType, quantization: Quantization | None) -> str:
    """`onnx fp32`, or `onnx` where nothing says of which number format."""
    if quantization is None or quantization is Quantization.UNKNOWN:
        return backend.value
    return f"{backend.value} {quantization.value}"


class SkippedPackage(Record, frozen=True):
    """A package that the provider announces and this release cannot read."""

    package_id: str
    reason: str


class ModelMetadata(Record, frozen=True):
    """A model as its provider describes it: what it is, and every package of it."""

    model_id: str
    model_architecture: str
    model_packages: list[ModelPackageMetadata]
    task_type: str | None = None
    model_variant: str | None = None
    model_dependencies: list[ModelDependency] | None = None
    recommended_parameters: RecommendedParameters | None = None
    license: str | None = None
    """Of the weights, as the source states it."""
    source: str | None = None
    """Where the weights come from, in words."""
    description: str | None = None
    skipped_packages: tuple[SkippedPackage, ...] = ()
    """Announced packages that are left out, each with the reason."""
    public: bool = False
    """Whether the source shows it to everyone, with a key or without."""


def without_signatures(model: ModelMetadata) -> ModelMetadata:
    """`model` with URLs that give no access: without query and user; those of files without fragment, too."""
    needed = model.model_dependencies
    return replace(
        model,
        model_id=without_query(model.model_id),
        model_packages=[_unsigned(package) for package in model.model_packages],
        model_dependencies=needed and [replace(item, model_id=without_query(item.model_id)) for item in needed],
    )


def _unsigned(package: ModelPackageMetadata) -> ModelPackageMetadata:
    return replace(package, package_artefacts=[_unsigned_file(item) for item in package.package_artefacts])


def _unsigned_file(item: Any) -> Any:
    if not isinstance(item, FileDownloadSpecs) or "://" not in item.download_url:
        return item
    scheme, _, rest = item.download_url.partition("://")
    host, slash, path = rest.split("?", 1)[0].split("#", 1)[0].partition("/")
    return replace(item, download_url=f"{scheme}://{host.rpartition('@')[2]}{slash}{path}")
