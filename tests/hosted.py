"""A provider in memory, installed like a plug-in, that counts what it is asked. Models in it are tiny real graphs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import graphs
from inference_models import providers
from inference_models.entities import (
    BackendType,
    FileDownloadSpecs,
    ModelMetadata,
    ModelPackageMetadata,
    ONNXPackageDetails,
    Quantization,
)
from inference_models.errors import ModelNotFoundError, RetryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = np.zeros((1, 6, 9), np.float32)
ROWS[0, :, 0] = [32, 32, 16, 8, 0.9, 0.1]
NETWORK = {
    "training_input_size": {"height": 64, "width": 64},
    "dynamic_spatial_size_supported": False,
    "color_mode": "rgb",
    "resize_mode": "letterbox",
    "input_channels": 3,
    "scaling_factor": 255,
}


@dataclass
class Hosted:
    """What the provider has, and what it was asked."""

    models: dict[str, ModelMetadata] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    described: list[str] = field(default_factory=list)
    read_files: list[str] = field(default_factory=list)
    down: bool = False
    announces: tuple[str, ...] = ("sha256_hash", "md5_hash")
    signature: str = "first"

    def open_provider(self) -> Hosted:
        return self

    def describe(self, model_id: str, options: providers.DescribeOptions = providers.NO_OPTIONS) -> ModelMetadata:
        self.described.append(model_id)
        if self.down:
            raise RetryError("the server does not answer.")
        if model_id not in self.models:
            raise ModelNotFoundError(f"no model {model_id!r}.")
        return self.models[model_id]

    def read(self, file: FileDownloadSpecs) -> Iterator[bytes]:
        self.read_files.append(file.file_handle)
        if self.down:
            raise RetryError("the server does not answer.")
        yield self.contents[file.download_url]

    def close(self) -> None:
        return

    def add(
        self, model_id: str, files: dict[str, bytes], *, asked_for: str | None = None, **facts: Any
    ) -> ModelMetadata:
        package = ModelPackageMetadata(
            package_id=facts.pop("package_id", "p1"),
            backend=facts.pop("backend", BackendType.ONNX),
            package_artefacts=[self._announced(model_id, handle, data) for handle, data in files.items()],
            quantization=facts.pop("quantization", Quantization.FP32),
            dynamic_batch_size_supported=True,
            onnx_package_details=ONNXPackageDetails(graphs.OPSET),
            trusted_source=True,
        )
        known = self.models.get(model_id)
        packages = [*(known.model_packages if known else ()), package]
        facts = {"model_architecture": "yolov8", "task_type": "object-detection", "license": "MIT", **facts}
        model = ModelMetadata(model_id=model_id, model_packages=packages, **facts)
        self.models[model_id] = self.models[asked_for or model_id] = model
        return model

    def _announced(self, model_id: str, handle: str, data: bytes) -> FileDownloadSpecs:
        url = f"https://files.example/{model_id}/{handle}?X-Signature=canary-{self.signature}-{len(self.contents)}"
        self.contents[url] = data
        known = {"sha256_hash": hashlib.sha256(data).hexdigest(), "md5_hash": hashlib.md5(data).hexdigest()}
        return FileDownloadSpecs(url, handle, size=len(data), **{name: known[name] for name in self.announces})


def detector_files(folder: Path, *, score: float = 0.9) -> dict[str, bytes]:
    """A YOLOv8-style detector of two classes that always finds one box, with this score."""
    rows = ROWS.copy()
    rows[0, 4, 0] = score
    path = graphs.constant_outputs(folder / "weights.onnx", size=(64, 64), outputs={"output0": rows})
    config = {"network_input": NETWORK, "post_processing": {"type": "nms", "fused": False}}
    stated = {"model_architecture": "yolov8", "task_type": "object-detection", "backend_type": "onnx"}
    return {
        "weights.onnx": path.read_bytes(),
        "class_names.txt": b"cat\ndog\n",
        "inference_config.json": json.dumps(config).encode(),
        "model_config.json": json.dumps(stated).encode(),
    }


def install(monkeypatch: pytest.MonkeyPatch, hosts: dict[str, Hosted]) -> None:
    """Make `hosts` known as providers, by name."""
    entries = [_Entry(name, "hosted:open", providers.ENTRY_POINT_GROUP) for name in hosts]
    monkeypatch.setattr(_Entry, "load", lambda self: hosts[self.name].open_provider)
    monkeypatch.setattr(providers, "entry_points", lambda group: entries)


class _Entry(EntryPoint):
    pass
