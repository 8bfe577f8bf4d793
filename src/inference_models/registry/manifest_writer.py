"""Writes the `manifest.json` of a folder of packages, so that any web server or bucket can publish it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from inference_models.entities import Quantization
from inference_models.errors import CorruptedModelPackageError
from inference_models.files.durable import write_atomic
from inference_models.package.manifest import FILE_NAME, FORMAT, ModelManifest
from inference_models.package.model_config import FILE_NAME as CONFIG
from inference_models.package.text_files import convert, parse_json_object, read_text
from inference_models.registry.library import PackageLibrary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from inference_models.registry.library import PublishedPackage

KEPT = ("variant", "license", "source", "description", "recommended_parameters")
"""What people write into the manifest by hand, because no file of a package says it."""


def write_manifest(directory: Path) -> ModelManifest:
    """The manifest of the packages below `directory`, written to `manifest.json` there.

    Packages lie as `registry serve` takes them, and get the same names. What an earlier manifest says about
    licence, source and the like is kept.

    Raises:
        CorruptedModelPackageError: there is no package, or the earlier manifest cannot be read.
    """
    library = PackageLibrary(directory)
    before = _earlier(directory)
    models = {model.model_id: _model(model.packages, before.get(model.model_id, {})) for model in library.models()}
    if not models:
        raise CorruptedModelPackageError(
            f"'{directory}' holds no package.",
            needs="folders <id>/ or <id>/<package>/ with model_config.json",
            found="none that can be published",
            fix=f"name the folder above: {directory.absolute().parent}" if (directory / CONFIG).exists() else None,
        )
    value = {"schema_version": FORMAT, "models": models}
    manifest = convert(ModelManifest, value, where=FILE_NAME)
    write_atomic(directory / FILE_NAME, (json.dumps(value, indent=2) + "\n").encode())
    return manifest


def _model(packages: Sequence[PublishedPackage], before: dict[str, Any]) -> dict[str, Any]:
    facts = packages[0].described.metadata
    dependencies = [asdict(dependency) for dependency in facts.model_dependencies or ()]
    return {
        "architecture": facts.model_architecture,
        "task_type": facts.task_type,
        **{key: before[key] for key in KEPT if before.get(key) is not None},
        **({"dependencies": dependencies} if dependencies else {}),
        "packages": [_package(package) for package in packages],
    }


def _package(published: PublishedPackage) -> dict[str, Any]:
    facts = published.described.metadata.model_packages[0]
    details = facts.onnx_package_details
    entry = {
        "package_id": published.package_id,
        "backend": facts.backend.value,
        "quantization": (facts.quantization or Quantization.UNKNOWN).value,
        "opset": details.opset if details is not None else None,
        "dynamic_batch_size_supported": facts.dynamic_batch_size_supported,
        "static_batch_size": facts.static_batch_size,
        "model_features": facts.model_features,
        "files": [
            {
                "handle": file.handle,
                "path": f"{published.described.folder}/{file.handle}",
                "sha256": file.sha256,
                "size": file.size,
            }
            for file in published.files
        ],
    }
    return {key: value for key, value in entry.items() if value is not None}


def _earlier(directory: Path) -> dict[str, dict[str, Any]]:
    path = directory / FILE_NAME
    if not path.is_file():
        return {}
    models = parse_json_object(read_text(path, where=FILE_NAME), where=FILE_NAME).get("models")
    if not isinstance(models, dict):
        return {}
    return {name: model for name, model in models.items() if isinstance(model, dict)}
