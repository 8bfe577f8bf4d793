"""Packages of a server, from the address to the answer: what is in few bits is passed over, batches are split."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import hosted
from inference_models import AutoModel
from inference_models.errors import QuantizationNotRequestedError
from inference_models.registry.manifest_writer import write_manifest
from scripted_server import served_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGE = np.zeros((64, 64, 3), np.uint8)
STEP = 0.3


def in_few_bits(data: bytes) -> bytes:
    """The graph with its weights as int8, as a quantiser writes them."""
    model = onnx.load_from_string(data)
    weights = next(each for each in model.graph.initializer if each.name == "value_output0")
    stored = np.rint(numpy_helper.to_array(weights) / STEP).astype(np.int8)
    model.graph.initializer.remove(weights)
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(stored, "q"),
            numpy_helper.from_array(np.float32(STEP), "step"),
            numpy_helper.from_array(np.int8(0), "zero_point"),
        ]
    )
    widened = helper.make_node("DequantizeLinear", ["q", "step", "zero_point"], ["value_output0"])
    model.graph.node.insert(0, widened)
    return model.SerializeToString()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of the model in `folder` on a web server of this machine."""
    write_manifest(folder)
    manifest = folder / "manifest.json"  # its author never looked into the graphs
    manifest.write_text(re.sub('(?<="quantization": )"[a-z0-9]+"', '"unknown"', manifest.read_text()))
    paths = [path for path in folder.rglob("*") if path.is_file()]
    files = {f"/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in paths}
    with served_files(files) as server:
        yield f"{server.url()}/manifest.json#cats"


def add(folder: Path, package: str, files: dict[str, bytes]) -> None:
    (folder / "cats" / package).mkdir(parents=True)
    for name, data in files.items():
        (folder / "cats" / package / name).write_bytes(data)


def test_a_fetched_package_that_turns_out_to_be_quantised_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = hosted.detector_files(tmp_path / "made")
    add(tmp_path / "all", "a1", files | {"weights.onnx": in_few_bits(files["weights.onnx"])})
    add(tmp_path / "all", "b2", files)
    with served(tmp_path / "all") as address:
        with AutoModel.from_pretrained(address, backend="onnx") as model:
            assert model.resolved_model.model_package_id == "b2"
        assert "weights.onnx of a1 in ONNX Runtime was passed over: weights.onnx of a1 is quantised" in caplog.text
        with AutoModel.from_pretrained(address, backend="onnx", model_package_id="a1") as named:
            (found,) = named(IMAGE)
    assert named.resolved_model.model_package_id == "a1"
    np.testing.assert_allclose(found.confidence, [0.9], atol=1e-6)


def test_alone_it_is_refused_with_the_argument_that_takes_it(tmp_path: Path) -> None:
    files = hosted.detector_files(tmp_path / "made")
    add(tmp_path / "all", "a1", files | {"weights.onnx": in_few_bits(files["weights.onnx"])})
    with served(tmp_path / "all") as address:
        with pytest.raises(QuantizationNotRequestedError) as caught:
            AutoModel.from_pretrained(address, backend="onnx")
        assert caught.value.fix == 'pass model_package_id="a1" if you want it'
        AutoModel.from_pretrained(address, backend="onnx", model_package_id="a1").close()


def test_a_batch_beyond_a_static_one_is_served_by_parts(tmp_path: Path) -> None:
    files = hosted.detector_files(tmp_path / "made")
    stated = json.loads(files["model_config.json"]) | {"static_batch_size": 1, "dynamic_batch_size_supported": False}
    add(tmp_path / "all", "a1", files | {"model_config.json": json.dumps(stated).encode()})
    assert onnx.load_from_string(files["weights.onnx"]).graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    with (
        served(tmp_path / "all") as address,
        AutoModel.from_pretrained(address, backend="onnx", batch_size=4) as model,
    ):
        assert [found.confidence.tolist() for found in model([IMAGE] * 5)] == [pytest.approx([0.9])] * 5
