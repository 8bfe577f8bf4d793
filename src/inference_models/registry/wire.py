"""A package folder in the words of the hosted API."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from inference_models.entities import BackendType, Quantization, camel_case
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.text_files import parse_json_object, read_text
from inference_models.providers._wire import MANIFESTS, manifest_facts

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.entities import ModelDependency, ModelMetadata, ModelPackageMetadata, RecommendedParameters

MANIFEST_FILE = "package_manifest.json"
"""Optional: the `packageManifest` of a folder, for what its other files do not say, such as the GPU of an engine."""
_BACKENDS = {
    BackendType.COREML: "coreml",
    BackendType.HF: "hf",
    BackendType.LITERT: "litert",
    BackendType.ONNX: "onnx",
    BackendType.OPENVINO: "openvino",
    BackendType.TORCH: "torch",
}
"""Of packages whose other files say everything a manifest needs."""


def model_facts(metadata: ModelMetadata) -> dict[str, Any]:
    """What an answer says about the model: the same for all its packages."""
    dependencies = [
        {"type": "model-dependency-v1", **wire_names(dependency)} for dependency in metadata.model_dependencies or []
    ]
    return {
        "modelArchitecture": metadata.model_architecture,
        "modelVariant": metadata.model_variant,
        "taskType": metadata.task_type,
        "modelDependencies": dependencies or None,
    }


def wire_names(value: ModelDependency | RecommendedParameters) -> dict[str, Any]:
    """The fields of `value` as the API calls them."""
    return {camel_case(name): item for name, item in asdict(value).items()}


def package_manifest(folder: Path, package: ModelPackageMetadata) -> dict[str, Any]:
    """The `packageManifest` that lies in the folder of a package, else the one that follows from its other files.

    Raises:
        CorruptedModelPackageError: the file is wrong, or the others do not say enough.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return _derived_manifest(package)
    manifest = parse_json_object(read_text(path, where=MANIFEST_FILE), where=MANIFEST_FILE)
    kind = str(manifest.get("type"))
    if kind not in MANIFESTS:
        raise _incomplete(f"a manifest of type {kind[:80]!a}", needs=f"one of {', '.join(sorted(MANIFESTS))}")
    try:
        manifest_facts(manifest)
    except ValueError as exc:
        raise _incomplete(" ".join(str(exc).split())[:300], needs=f"a complete {kind}") from exc
    return manifest


def _derived_manifest(package: ModelPackageMetadata) -> dict[str, Any]:
    backend = _BACKENDS.get(package.backend)
    if backend is None:
        raise _incomplete(
            f"a {package.backend.value} package without {MANIFEST_FILE}",
            needs=f"{MANIFEST_FILE}, or a package of kind {', '.join(sorted(kind.value for kind in _BACKENDS))}",
        )
    manifest: dict[str, Any] = {
        "type": f"{backend}-model-package-v1",
        "backendType": backend,
        "quantization": (package.quantization or Quantization.UNKNOWN).value,
    }
    if package.backend is not BackendType.HF:
        manifest |= _batch_mode(package)
    if package.backend is BackendType.ONNX:
        if package.onnx_package_details is None:
            raise _incomplete("a graph that states no opset", needs="an ONNX graph with an opset")
        manifest["opset"] = package.onnx_package_details.opset
    return manifest


def _batch_mode(package: ModelPackageMetadata) -> dict[str, Any]:
    if package.dynamic_batch_size_supported:
        return {"dynamicBatchSize": True}
    if package.static_batch_size is not None:
        return {"dynamicBatchSize": False, "staticBatchSize": package.static_batch_size}
    raise _incomplete("neither", needs="dynamic_batch_size_supported or static_batch_size in model_config.json")


def _incomplete(found: str, *, needs: str) -> CorruptedModelPackageError:
    return CorruptedModelPackageError("the package folder does not say enough to publish it.", needs=needs, found=found)
