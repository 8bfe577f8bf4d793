"""Packages made of networks of Transformers answer as these do, and one that does not is not written (converting.md).

Networks are tiny and random, made by transformers 5.24; the exporters are those of torch 2.13, read by onnxruntime 1.32
and openvino 2026.4.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="networks run in PyTorch")
pytest.importorskip("transformers", reason="needs Transformers")
pytest.importorskip("onnxscript", reason="PyTorch writes ONNX with it")

import torch
from PIL import Image

import test_transformers_folders as networks
from inference_models import AutoModel, cli
from inference_models.convert import model as convert
from inference_models.convert.model import convert_model
from inference_models.convert.options import ConvertOptions
from inference_models.developer_tools import convert_model as public_convert
from inference_models.entities import BackendType, Quantization
from inference_models.errors import InvalidParameterError, ModelConversionError, ModelLoadingError
from inference_models.measure.tune import TuneOptions, tune_model
from inference_models.negotiate.request import PackageRequest
from inference_models.options import LoadOptions
from inference_models.parity.compare import compare_predictions, predictions_in
from inference_models.parity.images import ImageSet, probe_images
from providers.hub_server import Repository, served_hub
from transformers_networks import depth_estimators, detectors, semantic_segmenters

if TYPE_CHECKING:
    from pathlib import Path

FEW = ImageSet("probe", tuple(probe_images(3)), "three")
QUICK = {"images": FEW, "exporters": ("legacy",)}
"""The newer exporter takes a quarter of a minute for the smallest network."""


def network(folder: Path, name: str) -> str:
    every = networks.classifiers() | detectors() | semantic_segmenters() | depth_estimators()
    networks.saved(folder, *every[name]())
    return str(folder)


def difference(first: Any, second: Any, **options: float) -> Any:
    image = Image.fromarray(networks.photograph())
    answers = (list(predictions_in(model(image, **options))) for model in (first, second))
    return compare_predictions(*answers, least_score=options.get("confidence", 0.3))


@pytest.mark.parametrize("name", ["vit", "detr", "segformer", "dpt"])
def test_an_onnx_package_answers_as_the_network_it_was_made_of(tmp_path: Path, name: str) -> None:
    source = network(tmp_path / name, name)
    made = convert_model(source, ConvertOptions(output=tmp_path / "made", **QUICK))
    theirs = AutoModel.from_pretrained(source, arrays="numpy")
    ours = AutoModel.from_pretrained(str(tmp_path / "made"), backend="onnx", arrays="numpy")
    assert ours.resolved_model.backend == "onnx"
    assert not made.rows[0].certificate.violations
    assert made.open_batch
    found = difference(theirs, ours, **({"confidence": 0.1} if name == "detr" else {}))
    assert found.compared or name == "dpt"
    assert (found.unmatched, found.top1_flips, found.pixel_flips) == (0, 0, 0)
    assert found.max_score < 1e-4
    assert found.max_box_px < 0.1
    if name == "dpt":
        image = Image.fromarray(networks.photograph())
        (first,), (second,) = theirs(image), ours(image)
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-4 * np.abs(first).max())
    if hasattr(theirs, "class_names"):
        assert theirs.class_names == ours.class_names
    assert {path.name for path in tmp_path.iterdir()} == {name, "made", "inference-home"}


@pytest.mark.parametrize(
    ("to", "number"),
    [
        (BackendType.OPENVINO, Quantization.FP32),
        (BackendType.TORCH_SCRIPT, Quantization.FP32),
        (BackendType.ONNX, Quantization.FP16),
        (BackendType.ONNX, Quantization.INT8),
    ],
)
def test_other_formats_and_number_formats_say_how_far_they_are(
    tmp_path: Path, to: BackendType, number: Quantization
) -> None:
    source = network(tmp_path / "vit", "vit")
    made = convert_model(source, ConvertOptions(to=to, quantization=number, output=tmp_path / "made", **QUICK))
    certificates = json.loads((made.folder / "parity_certificates.json").read_text())["certificates"]
    assert certificates[0]["subject"]["runtime"] == to.value
    assert certificates[0]["passed"] == (number is not Quantization.INT8)
    assert json.loads((made.folder / "model_config.json").read_text())["quantization"] == number.value


def test_the_newer_exporter_is_tried_first(tmp_path: Path) -> None:
    source = network(tmp_path / "vit", "vit")
    made = convert_model(source, ConvertOptions(output=tmp_path / "made", images=FEW))
    assert (made.exporter, made.open_batch) == ("torch.onnx with dynamo", True)


def test_what_answers_otherwise_is_not_written_and_the_error_says_by_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = network(tmp_path / "vit", "vit")
    first = convert.exportable

    def wrong(*given: Any, **options: Any) -> Any:
        made = first(*given, **options)
        with torch.no_grad():
            next(made.module.parameters()).mul_(1.5)
        return made

    monkeypatch.setattr(convert, "exportable", wrong)
    with pytest.raises(ModelConversionError, match=r"nothing was written(.|\n)*scores differ by up to 0\.\d+"):
        convert_model(source, ConvertOptions(output=tmp_path / "made", **QUICK))
    assert {path.name for path in tmp_path.iterdir()} <= {"vit", "inference-home"}


def test_a_converted_package_is_a_further_one_of_its_model_until_that_changes(tmp_path: Path) -> None:
    source = network(tmp_path / "vit", "vit")
    made = convert_model(source, ConvertOptions(**QUICK))
    report = AutoModel.explain(source)
    assert {package.package_id for package in report.packages} == {"safetensors", made.package_id}
    assert AutoModel.from_pretrained(source).resolved_model.model_package_id == made.package_id
    again = convert_model(source, ConvertOptions(**QUICK))  # in place of the first
    assert again.folder != made.folder
    assert not made.folder.exists()
    network(tmp_path / "vit", "resnet")  # another network in the same folder
    assert AutoModel.from_pretrained(source).resolved_model.model_package_id == "safetensors"


def test_a_model_of_the_hub_is_loaded_from_its_converted_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network(tmp_path / "vit", "vit")
    files = {path.name: path.read_bytes() for path in (tmp_path / "vit").iterdir()}
    with served_hub({"someone/vit": Repository(files=files)}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url())
        name = "huggingface:someone/vit"
        assert AutoModel.from_pretrained(name).resolved_model.model_package_id == "safetensors"
        made = convert_model(name, ConvertOptions(**QUICK))
        asked = len(hub.seen)
        for _ in range(2):
            assert AutoModel.from_pretrained(name).resolved_model.model_package_id == made.package_id
        assert len(hub.seen) == asked  # the Hub need not be asked for what is here


def test_impossible_wishes_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="is there already"):
        public_convert("nothing", "onnx", tmp_path)
    with pytest.raises(InvalidParameterError, match="no package is written as 'tflite'"):
        public_convert("nothing", "tflite")
    with pytest.raises(InvalidParameterError, match="weights of 8 bits are not written for openvino"):
        public_convert("nothing", "openvino", quantization="int8")


def test_a_model_without_a_network_in_pytorch_is_refused() -> None:
    with pytest.raises((ModelConversionError, ModelLoadingError), match=r"has no package that can be converted"):
        public_convert("centerface", "onnx")


def test_the_command_says_what_was_written_and_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = network(tmp_path / "vit", "vit")
    command = ["convert", source, "--to", "onnx", "--exporter", "legacy", "--output", str(tmp_path / "made")]
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(2):
        Image.fromarray(networks.photograph(40 + number, 60)).save(photos / f"{number}.png")
    assert cli.main([*command, "--images", str(photos)]) == 0
    said = capsys.readouterr().out
    assert "onnx fp32" in said
    assert "takes batches of any size" in said
    assert "onnx: passed: 2 of 2 images classified alike" in said
    assert f"next: inference-models predict {tmp_path / 'made'} IMAGE" in said
    assert cli.main(command) == 1
    assert "is there already" in capsys.readouterr().err


def test_tune_knows_a_converted_package(tmp_path: Path) -> None:
    source = network(tmp_path / "vit", "vit")
    made = convert_model(source, ConvertOptions(**QUICK))
    wanted, options = PackageRequest(device="cpu"), LoadOptions(select="measured")
    report = tune_model(source, wanted, options, api_key=None, how=TuneOptions(budget=5))
    assert made.package_id in json.dumps(report.to_dict())
    assert AutoModel.from_pretrained(source, device="cpu", select="measured").resolved_model.selected_by == "measured"
