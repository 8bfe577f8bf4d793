from __future__ import annotations

import json
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from inference_models.package.exporters import GraphHints, read_ultralytics
from inference_models.package.onnx_file import parse_onnx
from package.onnx_models import with_output

TWO = "{0: 'cat', 1: \"dog's\"}"


def hints(shape, metadata, **kw):
    return read_ultralytics(parse_onnx(with_output(shape, metadata, **kw).SerializeToString(), Path("m.onnx")))


def test_a_full_export_says_everything():
    metadata = {
        "description": "Ultralytics YOLOv8n model trained on coco.yaml",
        "task": "detect",
        "names": TWO,
        "stride": "32",
        "imgsz": "[640, 480]",
        "args": "{'batch': 1, 'nms': False}",
    }
    assert hints([1, 6, 8400], metadata, size=(640, 480)) == GraphHints(
        architecture="yolov8",
        task_type="object-detection",
        class_names=("cat", "dog's"),
        input_size=(640, 480),
        stride=32,
    )


@pytest.mark.parametrize(
    ("description", "architecture"),
    [
        ("Ultralytics YOLOv9c model", "yolov9"),
        ("Ultralytics YOLOv10n model", "yolov10"),
        ("Ultralytics YOLO11n-seg model", "yolov11"),
        ("Ultralytics YOLO12x model trained on a.yaml", "yolov12"),
        ("Ultralytics YOLO26n model", "yolo26"),
        ("Ultralytics YOLOv5nu model", "yolov8"),
        ("Ultralytics YOLOv5n model", "yolov8"),
        ("Ultralytics YOLOv13n model trained on coco.yaml", "yolov8"),
        ("Ultralytics YOLOE-v8s model trained on /data/yolov10/d.yaml", "yolov8"),
        ("Ultralytics best model trained on /data/yolo26/a.v2i.yolov9/data.yaml", "yolov8"),
        ("Ultralytics model trained on /data/yolov10/data.yaml", "yolov8"),
        ("a yolo26 of mine", "yolov8"),
        ("Ultralytics best model trained on a.yaml", "yolov8"),
    ],
)
def test_the_description_names_the_version(description, architecture):
    metadata = {"description": description, "names": TWO, "task": "detect"}
    assert hints([1, 6, 8400], metadata).architecture == architecture


@pytest.mark.parametrize(
    ("shape", "metadata", "architecture", "fused"),
    [
        ([1, 6, 8400], {"task": "detect"}, "yolov8", False),
        ([1, 25200, 7], {"task": "detect"}, "yolov5", False),
        ([1, 300, 6], {"task": "detect"}, None, True),
        ([1, 300, 6], {"task": "detect", "end2end": "True"}, "yolov8", True),
        ([1, 300, 6], {"task": "detect", "end2end": "True", "head": "RTDETRDecoder"}, "rt-detr-ultralytics", False),
        (
            [1, 6, 84],
            {"task": "detect", "end2end": "True", "description": "Ultralytics YOLO26n model"},
            "yolo26",
            False,
        ),
        ([1, 25200, 7], {"task": "detect", "description": "Ultralytics YOLOv8n model"}, "yolov5", False),
        (
            ["batch", "rows", "columns"],
            {"task": "detect", "description": "Ultralytics YOLOv10n", "args": '{"nms": true}'},
            "yolov10",
            True,
        ),
        ([1, 10, 99], {"task": "detect"}, None, False),
        ([1, 2], {"task": "classify"}, "yolov8", True),
        ([1, 2], {"task": "classify", "description": "Ultralytics YOLO26s-cls model"}, "yolo26", True),
        ([1, 2], {"task": "classify", "description": "Ultralytics YOLOv9c-cls model"}, "yolov8", True),
        ([1, 252, 7], {"stride": "32"}, "yolov5", False),
        ([1, 6, 84], {"stride": "32"}, "yolov8", False),
    ],
)
def test_the_layout_decides_where_no_version_is_named(shape, metadata, architecture, fused):
    found = hints(shape, {"names": TWO, **metadata})
    assert (found.architecture, found.fused) == (architecture, fused)


@pytest.mark.parametrize("metadata", [{}, {"task": "detect"}, {"author": "somebody else"}])
@pytest.mark.parametrize("shape", [[1, 84, 8400], [1, 25200, 85], [1, 3549, 85], [1, 300, 6]])
def test_a_graph_of_somebody_else_is_not_guessed_at(shape, metadata):
    assert hints(shape, metadata) == GraphHints()


def test_names_without_a_task_are_used_and_nothing_else_is_concluded():
    assert hints([1, 300, 6], {"names": TWO}) == GraphHints(class_names=("cat", "dog's"))


@pytest.mark.parametrize(
    "names",
    [
        "{0: 'a', 2: 'b'}",
        "{0: 1}",
        "{}",
        "__import__('os').getcwd()",
        "{0: 'a'" + "(" * 100_000,
        "-" * 100_000 + "1",
        "[" * 90 + "]" * 90,
        "{0: 'a', **{}}",
        "x" * 2_000_000,
    ],
)
def test_names_that_are_no_plain_table_are_not_used(names):
    assert hints([1, 84, 8400], {"names": names, "task": "detect"}).class_names is None


@pytest.mark.parametrize(
    "text",
    [
        "{1: 'b', 0: 'a'}",
        "{0:'a',1:'b',}\n",
        "['a', 'b']",
        '["a", "b"]',
        "('a', 'b')",
        '{"0": "a", "1": "b"}',
        "{'0': 'a', '1': 'b'}",
    ],
)
def test_names_may_have_any_form_that_exporters_write(text):
    assert hints([1, 6, 8400], {"names": text, "task": "detect"}).class_names == ("a", "b")


@pytest.mark.parametrize(
    "name", ["-" * 20, "[[[[[[[[[ x", "it's", 'say "x"', "a\\b", "\xa0x ", "", "a\tb", "a\nb", "#", "None"]
)
@pytest.mark.parametrize("write", [str, json.dumps])
def test_a_name_may_be_any_text(write, name):
    assert hints([1, 6, 8400], {"names": write([name, "b"]), "task": "detect"}).class_names == (name, "b")


@pytest.mark.parametrize(
    ("shapes", "metadata", "architecture", "fused"),
    [
        ([[1, 38, 525], [1, 32, 40, 40]], {"task": "segment"}, "yolov8", False),
        (
            [[1, 38, 525], [1, 32, 40, 40]],
            {"task": "segment", "description": "Ultralytics YOLO26n-seg"},
            "yolo26",
            False,
        ),
        ([[1, 300, 38], [1, 32, 40, 40]], {"task": "segment", "end2end": "True"}, "yolov8", True),
        ([[1, 25200, 39], [1, 32, 160, 160]], {}, "yolov5", False),
    ],
)
def test_a_segmenter_is_known_by_its_rows_and_its_prototypes(shapes, metadata, architecture, fused):
    model = with_output(shapes[0], {"names": TWO, "stride": "32", **metadata})
    model.graph.output.append(helper.make_tensor_value_info("output1", TensorProto.FLOAT, shapes[1]))
    found = read_ultralytics(parse_onnx(model.SerializeToString(), Path("m.onnx")))
    assert (found.architecture, found.task_type, found.fused) == (architecture, "instance-segmentation", fused)


@pytest.mark.parametrize(
    ("task", "shape", "ours"),
    [("depth", [1, 1, 64, 64], "depth-estimation"), ("semantic", [1, 64, 64], "semantic-segmentation")],
)
def test_tasks_that_yolo26_brought_are_its_own_whatever_the_model_is_called(task, shape, ours):
    found = hints(shape, {"description": "Ultralytics best model", "names": TWO, "task": task})
    assert (found.architecture, found.task_type, found.fused) == ("yolo26", ours, False)
