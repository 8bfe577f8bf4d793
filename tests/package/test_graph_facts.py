"""What exports of other formats than ONNX say about themselves, as Ultralytics 8.4.190 writes them."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from inference_models import AutoModel
from inference_models.entities import BackendType, Quantization
from inference_models.errors import CorruptedModelPackageError, MissingModelInitParameterError
from inference_models.package.exporter_texts import read_yaml
from inference_models.package.exporters import read_ultralytics
from inference_models.package.graph_facts import read_graph

if TYPE_CHECKING:
    from pathlib import Path

YAML = """\
description: 'Ultralytics YOLOv8n model trained on a data set with a name that is so long that
  the file goes on in another line: it''s fine'
author: Ultralytics
date: '2026-11-27T17:42:21.567237+00:00'
version: 8.4.190
stride: 32
task: detect
batch: 1
imgsz:
- 64
- 96
names:
  0: person
  1: 'no'
  2: "caf\\xE9: \\u2603"
  3: a name of several words that is longer than a line of the file may be, so that it goes
    on
args:
  nms: false
  data: null
channels: 3
end2end: false
"""
NAMES = ("person", "no", "café: ☃")
LONG = "a name of several words that is longer than a line of the file may be, so that it goes on"
METADATA = {"stride": 32, "task": "detect", "batch": 1, "imgsz": [64, 96], "names": dict(enumerate([*NAMES, LONG]))}


def test_yaml_is_read_as_pyyaml_writes_it() -> None:
    read: dict[Any, Any] = read_yaml(YAML)
    assert read["description"].endswith("so long that the file goes on in another line: it's fine")
    assert read["names"] == {str(index): name for index, name in enumerate([*NAMES, LONG])}
    assert (read["imgsz"], read["stride"], read["end2end"]) == ([64, 96], 32, False)
    assert read["args"] == {"nms": False, "data": None}


@pytest.mark.parametrize("text", ["", ":", "- 1\n- 2", "a: '", 'a: "', "  b: 1", "\0" * 9, "a:\n  - - -", "'" * 99])
def test_what_is_no_such_yaml_ends_in_some_entries_or_none(text: str) -> None:
    assert isinstance(read_yaml(text), dict)


def layer(number: int, kind: str, body: str, *, data: str = "") -> str:
    return f'<layer id="{number}" name="n{number}" type="{kind}" version="opset1">{data}{body}</layer>'


def port(*sides: int) -> str:
    return "<port id='0'>" + "".join(f"<dim>{side}</dim>" for side in sides) + "</port>"


def ir(path: Path, *, more: str = "", kind: str = "f32") -> Path:
    """What is read of an OpenVINO graph of a YOLOv8 with four classes."""
    layers = [
        layer(0, "Parameter", f"<output>{port(-1, 3, 64, 96)}</output>"),
        layer(1, "Const", "", data=f'<data element_type="{kind}" shape="16,16" offset="0" size="1024" />'),
        layer(2, "Result", f"<input>{port(-1, 8, 126)}</input>"),
    ]
    path.write_text(f'<?xml version="1.0"?>\n<net name="m" version="11"><layers>{"".join(layers)}{more}</layers></net>')
    path.with_suffix(".bin").write_bytes(bytes(1024))
    return path


def in_openvino(folder: Path) -> tuple[BackendType, Path]:
    (folder / "metadata.yaml").write_text(YAML, "utf-8")
    return BackendType.OPENVINO, ir(folder / "best.xml")


def in_torch_script(folder: Path) -> tuple[BackendType, Path]:
    with zipfile.ZipFile(folder / "best.torchscript", "w") as archive:
        archive.writestr("best/data.pkl", b"\x80\x02.")
        archive.writestr("best/extra/config.txt", json.dumps(METADATA))
    return BackendType.TORCH_SCRIPT, folder / "best.torchscript"


def in_litert(folder: Path) -> tuple[BackendType, Path]:
    """The zip that is added to the end of the graph."""
    pytest.importorskip("ai_edge_litert")
    import tflite_graphs

    path = tflite_graphs.mean_colour(folder / "best.tflite", size=64)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", json.dumps(METADATA))
    return BackendType.LITERT, path


def in_older_litert(folder: Path) -> tuple[BackendType, Path]:
    """A Python literal instead."""
    kind, path = in_litert(folder)
    import tflite_graphs

    tflite_graphs.mean_colour(path, size=64)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("temp_meta.txt", str(METADATA))
    return kind, path


@pytest.mark.parametrize("write", [in_litert, in_older_litert, in_openvino, in_torch_script])
def test_every_format_says_what_the_model_is(write: Any, tmp_path: Path) -> None:
    facts = read_graph(*write(tmp_path))
    assert facts is not None
    hints = read_ultralytics(facts)
    assert (hints.task_type, hints.class_names, hints.stride) == ("object-detection", (*NAMES, LONG), 32)
    assert hints.input_size == ((64, 64) if write in {in_litert, in_older_litert} else (64, 96))


def test_a_layout_is_read_from_the_shapes_of_an_openvino_graph(tmp_path: Path) -> None:
    facts = read_graph(*in_openvino(tmp_path))
    assert facts is not None
    assert [spec.shape for spec in (*facts.inputs, *facts.outputs)] == [(None, 3, 64, 96), (None, 8, 126)]
    assert read_ultralytics(facts).architecture == "yolov8"


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("f32", "", Quantization.FP32),
        ("f16", "", Quantization.FP16),
        ("u4", "", Quantization.INT8),
        ("i8", "", Quantization.INT8),
        ("f32", layer(9, "FakeQuantize", ""), Quantization.INT8),
    ],
)
def test_the_number_format_of_an_openvino_graph_is_that_of_its_constants(
    kind: str, more: str, expected: Quantization, tmp_path: Path
) -> None:
    facts = read_graph(BackendType.OPENVINO, ir(tmp_path / "m.xml", kind=kind, more=more))
    assert facts is not None
    assert facts.quantization is expected


@pytest.mark.parametrize("more", ["<a>" * 1_000_000, "<a>" * 300 + "</a>" * 300])
def test_an_openvino_graph_nested_without_end_is_refused(more: str, tmp_path: Path) -> None:
    with pytest.raises(CorruptedModelPackageError, match="elements inside each other"):
        read_graph(BackendType.OPENVINO, ir(tmp_path / "m.xml", more=more))


def test_an_openvino_graph_with_entities_is_refused(tmp_path: Path) -> None:
    path = ir(tmp_path / "m.xml")
    entities = '<!DOCTYPE net [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    path.write_text(path.read_text().replace("<net", f"{entities}<net", 1))
    with pytest.raises(CorruptedModelPackageError, match="not an OpenVINO graph"):
        read_graph(BackendType.OPENVINO, path)


def test_offsets_of_a_litert_graph_that_lead_out_of_the_file_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    import tflite_graphs

    whole = tflite_graphs.convolution(tmp_path / "m.tflite")[0].read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        data = bytearray(whole)
        place = int(generator.integers(8, 200))
        data[place : place + 4] = int(generator.integers(0, 1 << 32)).to_bytes(4, "little")
        (tmp_path / "bad.tflite").write_bytes(data)
        try:
            read_graph(BackendType.LITERT, tmp_path / "bad.tflite")
        except CorruptedModelPackageError:
            refused += 1
    assert refused


def test_a_table_of_names_with_a_gap_names_the_class(tmp_path: Path) -> None:
    (tmp_path / "metadata.yaml").write_text(YAML.replace("  1: 'no'\n", ""), "utf-8")
    with pytest.raises(MissingModelInitParameterError, match="names of classes, and none for class 1"):
        AutoModel.from_pretrained(ir(tmp_path / "best.xml"))
