from __future__ import annotations

from pathlib import Path

import pytest

from inference_models.package.onnx_file import parse_onnx
from inference_models.package.ultralytics import GraphHints, read_ultralytics
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
        ([1, 300, 7], {"task": "detect", "args": "{'nms': True}"}, "yolov5", True),
        ([1, 10, 99], {"task": "detect"}, None, False),
        ([1, 2], {"task": "classify"}, "yolov8", True),
    ],
)
def test_the_layout_decides_where_no_version_is_named(shape, metadata, architecture, fused):
    found = hints(shape, {"names": TWO, **metadata})
    assert (found.architecture, found.fused) == (architecture, fused)


@pytest.mark.parametrize("metadata", [{}, {"names": TWO}, {"task": "detect"}, {"author": "somebody else"}])
@pytest.mark.parametrize("shape", [[1, 84, 8400], [1, 25200, 85], [1, 3549, 85], [1, 300, 6]])
def test_a_graph_of_somebody_else_is_not_guessed_at(shape, metadata):
    assert hints(shape, metadata) == GraphHints()


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


def test_names_may_be_a_list():
    assert hints([1, 6, 8400], {"names": "['a', 'b']", "task": "detect"}).class_names == ("a", "b")
