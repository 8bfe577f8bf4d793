from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inference_models import families
from inference_models.decoders.boxes import (
    ANCHOR_BASED,
    BOXES_AND_SCORES,
    FINAL,
    FINAL_OR_RAW,
    FINAL_STRICT,
    FINAL_STRICT_OR_RAW,
    OBJECTNESS_LOGITS,
)
from inference_models.decoders.classes import FUSED, SIGMOID, SOFTMAX
from inference_models.decoders.distribution import DISTRIBUTION
from inference_models.decoders.grid import YOLOX
from inference_models.decoders.heatmap import HEATMAP
from inference_models.decoders.types import BoxLimits
from inference_models.errors import ModelImplementationNotFoundError
from inference_models.families import find_family, find_graph, known_architectures, module_builder
from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec, ResizeMode
from inference_models.tasks import find_task

FILES = sorted(path for path in Path(families.__file__).parent.glob("*.py") if path.name != "__init__.py")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LETTERBOX = PreprocessSpec(size=None, color="rgb", resize=ResizeMode.LETTERBOX, pad_value=114, scaling_factor=255)

DETECTORS = {
    "centerface": (HEATMAP, None, 0.5, 0.3),
    "picodet": (DISTRIBUTION, None, 0.4, 0.3),
    "yolo26": (FINAL_OR_RAW, FINAL, 0.25, 0.3),
    "yololite": (OBJECTNESS_LOGITS, FINAL, 0.25, 0.3),
    "yolonas": (BOXES_AND_SCORES, None, 0.4, 0.3),
    "yolov10": (FINAL_STRICT_OR_RAW, FINAL_STRICT, 0.4, 0.3),
    "yolov11": (FINAL_OR_RAW, FINAL, 0.4, 0.3),
    "yolov12": (FINAL_OR_RAW, FINAL, 0.4, 0.3),
    "yolov5": (ANCHOR_BASED, None, 0.4, 0.3),
    "yolov8": (FINAL_OR_RAW, FINAL, 0.4, 0.3),
    "yolov9": (FINAL_OR_RAW, FINAL, 0.4, 0.3),
    "yolox": (YOLOX, None, 0.4, 0.3),
}

CLASSIFIERS = {
    **dict.fromkeys([("classifier", "classification"), ("mobilenetv2", "classification")], SOFTMAX),
    **dict.fromkeys([("resnet", "classification"), ("vit", "classification"), ("yolov8", "classification")], SOFTMAX),
    ("pplcnet", "classification"): FUSED,
    **dict.fromkeys([(name, "classification") for name in ("yolo26", "yolov11", "yolov12")], SOFTMAX),
    **{(name, "multi-label-classification"): SIGMOID for name in ("classifier", "mobilenetv2", "resnet", "vit")},
}

ALIASES = {
    "deimv2": "deim",
    "depth-anything": "depth-anything-v2",
    "dfine": "d-fine",
    "eomt-dinov3": "eomt",
    "mobilenet-v2": "mobilenetv2",
    "rf-detr": "rfdetr",
    "superglue": "lightglue",
    "table-transformer": "detr",
    **dict.fromkeys(["dinov2-with-registers", "dinov3-convnext", "dinov3-vit"], "dinov2"),
    **dict.fromkeys(["dab-detr", "deformable-detr", "lw-detr"], "conditional-detr"),
    **dict.fromkeys(["pp-doclayout-v2", "pp-doclayout-v3", "rt-detr-v2", "rtdetr", "rtdetrv2"], "rt-detr"),
    "yolo11": "yolov11",
    "yolo12": "yolov12",
    "yolov26": "yolo26",
}


def test_the_file_of_a_family_is_all_there_is_to_register():
    architectures = [path.stem.replace("_", "-") for path in FILES]
    assert known_architectures() == sorted([*architectures, *ALIASES])
    for name in architectures:
        assert find_family(name).architecture == name
        for task, graph in find_family(name).tasks.items():
            assert isinstance(graph, find_task(task).graph)


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_a_detector_has_its_layout_and_its_defaults(name):
    decoder, fused, confidence, iou = DETECTORS[name]
    graph = find_graph(name, "object-detection")
    assert (graph.decoder, graph.fused) == (decoder, fused)
    assert (graph.confidence, graph.iou, graph.max_detections) == (confidence, iou, 300)


def test_only_one_exporter_writes_boxes_as_parts_of_the_input_size_and_for_litert_alone():
    stated = {name: find_graph(name, "object-detection").normalized_in for name in DETECTORS}
    recipe = {"yolo26", "yolov10", "yolov11", "yolov12", "yolov5", "yolov8", "yolov9"}
    assert stated == {name: ("litert",) if name in recipe else () for name in DETECTORS}


@pytest.mark.parametrize(("name", "task"), sorted(CLASSIFIERS))
def test_a_classifier_has_its_activation_and_its_threshold(name, task):
    graph = find_graph(name, task)
    assert (graph.decoder, graph.fused, graph.confidence) == (CLASSIFIERS[name, task], True, 0.4)


@pytest.mark.parametrize("name", ["yolo26", "yolonas", "yolov10", "yolov11", "yolov12", "yolov5", "yolov8", "yolov9"])
def test_a_bare_file_of_the_ultralytics_recipe_is_letterboxed_on_grey(name):
    assert find_graph(name, "object-detection").preprocess == LETTERBOX


@pytest.mark.parametrize(
    ("name", "task", "expected"),
    [
        (
            "centerface",
            "object-detection",
            PreprocessSpec(size=None, resize=ResizeMode.LETTERBOX, pad_at="end", dynamic=DynamicSize(32)),
        ),
        ("picodet", "object-detection", PreprocessSpec(size=None, scaling_factor=255, mean=MEAN, std=STD)),
        (
            "pplcnet",
            "classification",
            PreprocessSpec(
                size=(224, 224),
                resize=ResizeMode.SHORTER_EDGE_CROP,
                shorter_edge=256,
                scaling_factor=255,
                mean=MEAN,
                std=STD,
            ),
        ),
        (
            "yololite",
            "object-detection",
            PreprocessSpec(
                size=None, resize=ResizeMode.LETTERBOX, pad_value=114, scaling_factor=255, mean=MEAN, std=STD
            ),
        ),
        (
            "yolov8",
            "classification",
            PreprocessSpec(size=(224, 224), resize=ResizeMode.SHORTER_EDGE_CROP, antialias=True, scaling_factor=255),
        ),
        (
            "yolox",
            "object-detection",
            PreprocessSpec(size=None, color="bgr", resize=ResizeMode.LETTERBOX, pad_value=114, pad_at="end"),
        ),
    ],
)
def test_a_bare_file_is_prepared_as_its_project_does(name, task, expected):
    assert find_graph(name, task).preprocess == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_family_states_its_source_licence_and_export_and_is_short(path):
    text = path.read_text(encoding="utf-8")
    doc = ast.get_docstring(ast.parse(text)) or ""
    assert "Source: " in doc
    assert "Export: " in doc
    assert any(licence in doc for licence in ("AGPL-3.0", "Apache-2.0", "GPL-3.0", "MIT"))
    assert "aper" in doc
    several_graphs, several_tasks = "files={" in text, text.count("Graph(") > 2
    assert len(text.splitlines()) < (250 if several_graphs else 100 if several_tasks else 60)


@pytest.mark.parametrize(("alias", "name"), sorted(ALIASES.items()))
def test_another_spelling_finds_the_family(alias, name):
    assert find_family(alias.upper()).architecture == name


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("d_fine", "d-fine"),
        ("dinov3_probe", "dinov3-probe"),
        ("mobilenet_v2", "mobilenetv2"),
        ("rt_detr_v2", "rt-detr"),
    ],
)
def test_an_underscore_is_as_good_as_a_dash(spelling, name):
    assert find_family(spelling).architecture == name


def test_a_yolov12_graph_decodes_like_a_yolov8_graph():
    output = np.array([10, 10, 4, 4, 0.9, 0.1], np.float32).reshape(1, 6, 1)
    decoder = find_graph("yolov12", "object-detection").decoder
    (boxes,) = decoder.decode([output], (32, 32), BoxLimits(0.4, 0.3, 300))
    np.testing.assert_array_equal(boxes.xyxy, [[8, 8, 12, 12]])


def test_a_family_names_its_pytorch_module_and_imports_it_only_when_it_is_built():
    code = """
import sys
from inference_models.families import find_graph, module_builder
assert module_builder(find_graph("vit", "classification")) is None
build = module_builder(find_graph("mobilenetv2", "classification"))
assert "torch" not in sys.modules and "inference_models.networks" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_builder_builds_the_module_of_its_family():
    pytest.importorskip("torch")
    build = module_builder(find_graph("mobilenetv2", "classification"))
    assert type(build({"classifier.1.weight": (3, 1280)})).__name__ == "MobileNetV2"


def test_an_unknown_architecture_names_the_nearest_ones():
    with pytest.raises(ModelImplementationNotFoundError) as caught:
        find_family("yolov13")
    assert str(caught.value) == "no family handles architecture 'yolov13'; nearest: 'yolov12', 'yolov11'."


def test_an_unknown_task_names_the_known_ones():
    with pytest.raises(ModelImplementationNotFoundError) as caught:
        find_graph("yolov5", "classification")
    assert (
        str(caught.value)
        == "family 'yolov5' does not do 'classification'; known: 'instance-segmentation', 'object-detection'."
    )
