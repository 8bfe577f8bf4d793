"""What is said of a repository of the Hub before anything of it is fetched: every form, and what a machine lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import graphs
from inference_models import AutoModel, backends
from inference_models.machine.environment import Environment
from providers.hub_server import Repository, served_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from providers.hub_server import HubServer

CONFIG = b'{"architectures": ["ViTForImageClassification"], "model_type": "vit", "id2label": {"0": "cat", "1": "dog"}}'
PROCESSOR = b"""{"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "resample": 2,
"do_resize": true, "do_rescale": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    graph = graphs.constant_outputs(tmp_path / "m.onnx", size=(32, 32), outputs={"logits": np.zeros((1, 2))})
    files = {
        "config.json": CONFIG,
        "preprocessor_config.json": PROCESSOR,
        "model.safetensors": b"weights",
        "onnx/model.onnx": graph.read_bytes(),
        "onnx/model_fp16.onnx": graph.read_bytes() + b"\n\x00",
        "openvino/openvino_model.xml": b"<net/>",
        "openvino/openvino_model.bin": b"data",
    }
    with served_hub({"acme/vit": Repository(files=files)}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url())
        yield server


def test_every_form_is_shown_before_any_of_it_is_fetched(hub: HubServer) -> None:
    report = AutoModel.explain("huggingface:acme/vit")
    assert {package.package_id for package in report.packages} == {
        "safetensors",
        "onnxfp32",
        "onnxfp16",
        "openvinofp32",
    }
    assert all(package.download.bytes for package in report.packages)
    asked = [path for _, path, _ in hub.seen if "/resolve/" in path]
    assert [path for path in asked if path.endswith((".safetensors", ".onnx"))] == []


def test_the_steps_to_each_form_are_counted_where_nothing_is_installed(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Environment(system="linux x86_64", python="3.11", cpus=2, memory=8 << 30)
    monkeypatch.setattr(backends, "probe_environment", lambda **_: bare)
    report = AutoModel.explain("huggingface:acme/vit")
    assert report.would_run is None
    fixes = {step.fixes: len(step.makes_run) for step in report.steps}
    assert fixes[('pip install "onnxruntime>=1.19"',)] == 2
    assert any("transformers" in fix for steps in fixes for fix in steps)
    assert all(len(step.fixes) == 1 for step in report.steps)
