"""A package folder in the words of the hosted API."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from inference_models.entities import BackendType, Quantization
from inference_models.errors import CorruptedModelPackageError
from inference_models.files.names import check_package_id
from inference_models.package import model_config
from inference_models.package.model_config import parse_model_config
from inference_models.package.text_files import parse_json_object, read_text
from inference_models.providers._wire import PACKAGE_TYPE
from inference_models.providers._wire_manifests import MANIFESTS
from inference_models.providers.local import LocalProvider

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from inference_models.entities import ModelMetadata, ModelPackageMetadata

MANIFEST_FILE = "package_manifest.json"
"""Optional: the `packageManifest` of a folder, for what its other files do not say, such as the GPU of an engine."""
_TYPES = {
    BackendType.COREML: ("coreml-model-package-v1", "coreml"),
    BackendType.HF: ("hf-model-package-v1", "hf"),
    BackendType.LITERT: ("litert-model-package-v1", "litert"),
    BackendType.ONNX: ("onnx-model-package-v1", "onnx"),
    BackendType.OPENVINO: ("openvino-model-package-v1", "openvino"),
    BackendType.TORCH: ("torch-model-package-v1", "torch"),
}


def describe_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The facts about the model, and about the package, in a package folder.

    Raises:
        CorruptedModelPackageError: a file of the package is damaged, or does not say enough.
    """
    metadata = LocalProvider().describe(str(folder))
    package = metadata.model_packages[0]
    manifest = _stated_manifest(folder) or _derived_manifest(package)
    entry: dict[str, Any] = {
        "type": PACKAGE_TYPE,
        "packageManifest": manifest,
        "modelFeatures": package.model_features,
        # Whoever starts a registry vouches for what lies in its folder.
        "trustedSource": True,
    }
    if package.recommended_parameters is not None:
        entry["recommendedParameters"] = package.recommended_parameters.model_dump(by_alias=True)
    return _model_facts(metadata), entry


def stated_model_id(folder: Path) -> str | None:
    """The `model_id` in the `model_config.json` of a package folder.

    Raises:
        CorruptedModelPackageError: the file is damaged.
    """
    return parse_model_config(read_text(folder / model_config.FILE_NAME, where=model_config.FILE_NAME)).model_id


def published_package_id(name: str | None, content: Sequence[tuple[str, str]]) -> str:
    """The folder's name where that can be an id, else one made of the hashes of its files."""
    if name is not None and name.isascii() and name.isalnum():
        return check_package_id(name)
    text = "\n".join(f"{handle}\0{digest}" for handle, digest in sorted(content))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _model_facts(metadata: ModelMetadata) -> dict[str, Any]:
    dependencies = [
        {"type": "model-dependency-v1", **dependency.model_dump(by_alias=True)}
        for dependency in metadata.model_dependencies or []
    ]
    return {
        "modelArchitecture": metadata.model_architecture,
        "modelVariant": metadata.model_variant,
        "taskType": metadata.task_type,
        "modelDependencies": dependencies or None,
    }


def _stated_manifest(folder: Path) -> dict[str, Any] | None:
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return None
    manifest = parse_json_object(read_text(path, where=MANIFEST_FILE), where=MANIFEST_FILE)
    kind = str(manifest.get("type"))
    if kind not in MANIFESTS:
        raise _incomplete(f"a manifest of type {kind[:80]!a}", needs=f"one of {', '.join(sorted(MANIFESTS))}")
    try:
        MANIFESTS[kind].model_validate(manifest).facts()
    except ValueError as exc:
        raise _incomplete(" ".join(str(exc).split())[:300], needs=f"a complete {kind}") from exc
    return manifest


def _derived_manifest(package: ModelPackageMetadata) -> dict[str, Any]:
    if package.backend not in _TYPES:
        raise _incomplete(
            f"a {package.backend.value} package without {MANIFEST_FILE}",
            needs=f"{MANIFEST_FILE}, or a package of kind {', '.join(sorted(kind.value for kind in _TYPES))}",
        )
    kind, backend = _TYPES[package.backend]
    manifest: dict[str, Any] = {
        "type": kind,
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
