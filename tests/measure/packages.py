"""Classifiers in folders: real graphs, and code that misbehaves."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

import graphs
from inference_models.entities import (
    BackendType,
    LocalFileArtefactSpecs,
    ModelMetadata,
    ModelPackageMetadata,
    ONNXPackageDetails,
    Quantization,
)
from inference_models.loading.address import LoadRequest, Source
from inference_models.loading.remember import RememberedModels
from inference_models.machine.environment import Environment
from inference_models.measure import contest
from inference_models.measure.settings import LoadToMeasure
from inference_models.measure.worker import Worker
from inference_models.negotiate.case import Candidate
from inference_models.negotiate.choose import Choice, Verdict
from inference_models.options import LoadOptions
from inference_models.package.code import code_digest

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CONFIG = {
    "network_input": {
        "training_input_size": {"height": 8, "width": 8},
        "dynamic_spatial_size_supported": False,
        "color_mode": "rgb",
        "resize_mode": "stretch",
        "input_channels": 3,
        "scaling_factor": 255,
    },
    "post_processing": {"type": "softmax", "fused": False},
}
ENVIRONMENT = Environment(system="linux x86_64", python="3.11", cpus=2)
CODE = """
import os, sys, time
import numpy as np
from inference_models.predictions.classification import ClassificationPrediction

class Model:
    @classmethod
    def from_pretrained(cls, directory, **kwargs):
        {opened}
        return cls()

    def __call__(self, image, confidence=None):
        {called}
        scores = np.array([[0.9, 0.1]], np.float32)
        return ClassificationPrediction(np.array([0]), scores)

    def close(self):
        pass
"""


def classifier(folder: Path, *, tilt: float = 0.0, work: int = 0) -> ModelPackageMetadata:
    """Two classes by the mean colour; `tilt` changes the scores, `work` adds multiplications that change nothing."""
    weights = {"w": np.array([[4, -4], [0, 0], [-4, 4]], np.float32) + np.float32(tilt)}
    weights["w"][0, 0] += tilt
    nodes = [helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0)]
    source = "mean"
    if work:
        weights["wide"] = np.zeros((3, work), np.float32)
        weights["square"] = np.zeros((work, work), np.float32)
        weights["narrow"] = np.zeros((work, 3), np.float32)
        nodes += [
            helper.make_node("MatMul", ["mean", "wide"], ["h0"]),
            helper.make_node("MatMul", ["h0", "square"], ["h1"]),
            helper.make_node("MatMul", ["h1", "narrow"], ["h2"]),
            helper.make_node("Add", ["mean", "h2"], ["again"]),
        ]
        source = "again"
    nodes.append(helper.make_node("MatMul", [source, "w"], ["output0"]))
    graphs.save(
        folder / "weights.onnx",
        nodes,
        inputs={"images": ["batch", 3, 8, 8]},
        outputs={"output0": ["batch", 2]},
        weights=weights,
    )
    stated = {"model_architecture": "resnet", "task_type": "classification", "backend_type": "onnx"}
    _write(folder, {"inference_config.json": json.dumps(CONFIG), "model_config.json": json.dumps(stated)})
    return _package(folder, BackendType.ONNX)


def detector(folder: Path, *, score: float, box: tuple[float, ...]) -> ModelPackageMetadata:
    """Finds one box, (x, y, width, height), with one score, whatever the picture shows."""
    rows = np.zeros((1, 6, 10), np.float32)
    rows[0, :4], rows[0, 4] = np.array(box, np.float32)[:, None], score
    graphs.save(
        folder / "weights.onnx",
        [
            helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            helper.make_node("Reshape", ["nothing", "shape"], ["batch"]),
            helper.make_node("Add", ["batch", "rows"], ["output0"]),
        ],
        inputs={"images": ["batch", 3, 64, 64]},
        outputs={"output0": ["batch", 6, 10]},
        weights={"zero": np.zeros(1, np.float32), "shape": np.array([-1, 1, 1], np.int64), "rows": rows},
    )
    config = {
        "network_input": {**CONFIG["network_input"], "training_input_size": {"height": 64, "width": 64}},
        "post_processing": {"type": "nms", "fused": False},
    }
    stated = {"model_architecture": "yolov8", "task_type": "object-detection", "backend_type": "onnx"}
    _write(folder, {"inference_config.json": json.dumps(config), "model_config.json": json.dumps(stated)})
    return _package(folder, BackendType.ONNX)


def code(folder: Path, *, opened: str = "pass", called: str = "pass") -> ModelPackageMetadata:
    """A model that does what it is told when it is opened, and when it is called."""
    folder.mkdir(parents=True)
    stated = {"model_module": "model.py", "model_class": "Model"}
    _write(folder, {"model.py": CODE.format(opened=opened, called=called), "model_config.json": json.dumps(stated)})
    return _package(folder, BackendType.CUSTOM)


def asking(*packages: ModelPackageMetadata, consent_to: Path | None = None, **options: object) -> LoadToMeasure:
    """A load that may take any of `packages`, the first being the best in the declared order."""
    consent = False if consent_to is None else code_digest(consent_to)
    load = LoadRequest(options=LoadOptions(allow_local_code_packages=consent, **options), extra={})
    memory = RememberedModels(load, ENVIRONMENT, enabled=True)
    model = ModelMetadata("team/m", "resnet", list(packages), task_type="classification")
    verdicts = tuple(Verdict(Candidate(package, package.backend), (), runs=True) for package in packages)
    choice = Choice(model, load.wanted, ENVIRONMENT, verdicts)
    return LoadToMeasure(model, Source("folders", None, "m"), choice, load, memory)


def asking_detector(*packages: ModelPackageMetadata, **options: object) -> LoadToMeasure:
    """The same for packages of `detector`."""
    asked = asking(*packages, **options)
    return replace(asked, model=replace(asked.model, model_architecture="yolov8", task_type="object-detection"))


def record(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> list[str]:
    """Let the calls of each package take so long, in this process; says of which packages rounds were run."""
    opened: list[str] = []

    class RecordedChild:
        last_lines = ()
        processor_seconds = 0.0
        peak_memory = None

        def __init__(self, *_: object, **__: object) -> None:
            self.worker = Worker()

        def ask(self, doing: str, message: dict[str, Any], *, deadline: float) -> dict[str, Any]:
            if message["op"] == "open":
                self.package = json.loads(message["job"])["model"]["model_packages"][0]["package_id"]
                opened.append(self.package)
            if message["op"] == "run":
                return {"times": [seconds.get(self.package, 0.001)] * message["times"]}
            return json.loads(json.dumps(self.worker(**message)))

        def close(self) -> None:
            return

    monkeypatch.setattr(contest, "Child", RecordedChild)
    monkeypatch.setattr(contest, "_SETTLE_S", 0.0)
    monkeypatch.setattr(contest, "OtherPrograms", lambda: SimpleNamespace(share=lambda children: 0.0))
    return opened


def _write(folder: Path, texts: dict[str, str]) -> None:
    for name, text in {"class_names.txt": "a\nb\n", **texts}.items():
        (folder / name).write_text(text)


def _package(folder: Path, backend: BackendType) -> ModelPackageMetadata:
    return ModelPackageMetadata(
        package_id=folder.name,
        backend=backend,
        package_artefacts=[LocalFileArtefactSpecs(path.name, path) for path in sorted(folder.iterdir())],
        quantization=Quantization.FP32,
        dynamic_batch_size_supported=True,
        onnx_package_details=ONNXPackageDetails(graphs.OPSET) if backend is BackendType.ONNX else None,
        trusted_source=True,
    )
