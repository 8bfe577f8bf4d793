from __future__ import annotations

import copy
import json

import pytest

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.inference_config import (
    ForwardPass,
    NmsParameters,
    PostProcessing,
    parse_inference_config,
)
from inference_models.package.preprocess_spec import Contrast, DynamicSize, PreprocessSpec, ResizeMode, StaticCrop

FULL = {
    "image_pre_processing": {
        "auto-orient": {"enabled": True},
        "static-crop": {"enabled": True, "x_min": 10, "x_max": 90, "y_min": 0, "y_max": 100},
        "contrast": {"enabled": True, "type": "Adaptive Equalization"},
        "grayscale": {"enabled": False},
    },
    "network_input": {
        "training_input_size": {"height": 480, "width": 640},
        "dataset_version_resize_dimensions": {"height": 500, "width": 600},
        "dynamic_spatial_size_supported": True,
        "dynamic_spatial_size_mode": {"type": "pad-to-be-divisible", "value": 32},
        "color_mode": "rgb",
        "resize_mode": "letterbox",
        "padding_value": 127,
        "input_channels": 3,
        "scaling_factor": 255,
        "normalization": [[0.5], [0.1, 0.2, 0.3]],
    },
    "forward_pass": {"static_batch_size": None, "max_dynamic_batch_size": 8},
    "post_processing": {
        "type": "nms",
        "fused": True,
        "nms_parameters": {
            "max_detections": 300,
            "confidence_threshold": 0.25,
            "iou_threshold": 0.7,
            "class_agnostic": 1,
        },
    },
    "model_initialization": {"depth": 3},
    "class_names_operations": [{"type": "class_name_removal", "class_name": "background"}],
    "free_input_dims": {"input.1": [None, 3, None, None]},
    "a key of tomorrow": 1,
}
MINIMAL = {
    "network_input": {
        "training_input_size": {"height": 8, "width": 8},
        "dynamic_spatial_size_supported": False,
        "color_mode": "bgr",
        "resize_mode": "stretch",
        "input_channels": 3,
    }
}


def changed(path: str, value: object) -> str:
    config: dict = copy.deepcopy(FULL)
    *parents, last = path.split("/")
    part = config
    for name in parents:
        part = part[name]
    part[last] = value
    return json.dumps(config)


def test_every_field_arrives():
    config = parse_inference_config(json.dumps(FULL))
    assert config.preprocess == PreprocessSpec(
        size=(480, 640),
        color="rgb",
        resize=ResizeMode.LETTERBOX,
        pad_value=127,
        scaling_factor=255.0,
        mean=(0.5, 0.5, 0.5),
        std=(0.1, 0.2, 0.3),
        static_crop=StaticCrop(x_min=10, x_max=90, y_min=0, y_max=100),
        contrast=Contrast.ADAPTIVE_EQUALIZATION,
        dynamic=DynamicSize(32),
    )
    assert config.forward_pass == ForwardPass(None, 8)
    assert config.post_processing == PostProcessing("nms", True, NmsParameters(300, 0.25, 0.7, True))
    assert config.removed_class_names == ("background",)
    assert config.model_initialization == {"depth": 3}
    assert config.free_input_dims == {"input.1": (None, 3, None, None)}
    assert config.dataset_size == (500, 600)


def test_what_is_left_out_has_the_documented_default():
    config = parse_inference_config(json.dumps({**MINIMAL, "image_pre_processing": None}))
    assert config.preprocess == PreprocessSpec(size=(8, 8), color="bgr", resize=ResizeMode.STRETCH)
    assert (config.forward_pass, config.post_processing) == (ForwardPass(), None)


def test_our_own_keys_reach_the_preprocessing():
    network = {**MINIMAL["network_input"], "resize_mode": "shorter-edge-crop", "shorter_edge": 256}
    network |= {"interpolation": "cubic", "pad_at": "end", "layout": "nhwc"}
    spec = parse_inference_config(json.dumps({"network_input": network})).preprocess
    assert (spec.shorter_edge, spec.interpolation, spec.pad_at, spec.layout) == (256, "cubic", "end", "nhwc")


def test_no_training_size_is_fine_where_any_size_is():
    network = {**MINIMAL["network_input"], "training_input_size": None, "dynamic_spatial_size_supported": True}
    network["dynamic_spatial_size_mode"] = {"type": "any-size"}
    spec = parse_inference_config(json.dumps({"network_input": network})).preprocess
    assert (spec.size, spec.dynamic) == (None, DynamicSize(1))


def test_steps_that_are_off_are_off():
    text = changed(
        "image_pre_processing/static-crop", {"enabled": False, "x_min": 5, "x_max": 5, "y_min": 0, "y_max": 0}
    )
    assert parse_inference_config(text).preprocess.static_crop is None
    text = changed("image_pre_processing/contrast", {"enabled": False, "type": "Contrast Stretching"})
    assert parse_inference_config(text).preprocess.contrast is None


CONTRASTS = " or ".join(repr(item.value) for item in Contrast)
WRONG = "inference_config.json: {} has a wrong value.\nneeds {}; found: {}"


NETWORK, CROP = "network_input", "image_pre_processing/static-crop"


@pytest.mark.parametrize(
    ("path", "value", "where", "needs", "found"),
    [
        (f"{NETWORK}/input_channels", 4, "", "1 or 3", "4"),
        (f"{NETWORK}/scaling_factor", 0, "", "float > 0.0", "0"),
        (f"{NETWORK}/scaling_factor", -255, "", "float > 0.0", "-255"),
        (f"{NETWORK}/color_mode", "gbr", "", "'bgr' or 'rgb'", '"gbr"'),
        (f"{NETWORK}/interpolation", 3, "", "str", "3"),
        (f"{NETWORK}/normalization", [[0], [0.0]], "normalization[1][0]", "float > 0.0", "0.0"),
        (f"{NETWORK}/normalization", [[0, 1], [1]], "normalization[0]", "1 or 3 numbers", "[0.0, 1.0]"),
        (f"{NETWORK}/normalization", [[0]], "", "array of length 2", "[[0]]"),
        (f"{NETWORK}/training_input_size/height", -1, "", "int >= 1", "-1"),
        (f"{NETWORK}/training_input_size/width", 10**9, "", "int <= 32768", "1000000000"),
        (f"{NETWORK}/training_input_size", 640, "", "object", "640"),
        (f"{NETWORK}/padding_value", 256, "", "int <= 255", "256"),
        (f"{NETWORK}/dynamic_spatial_size_mode/value", 0, "", "int >= 1", "0"),
        (f"{NETWORK}/dynamic_spatial_size_mode/value", None, "", "a number of pixels to pad to", "null"),
        (
            f"{NETWORK}/training_input_size",
            None,
            "",
            "a height and width, unless dynamic_spatial_size_mode is any-size",
            "null",
        ),
        (f"{NETWORK}/shorter_edge", 256, "", "shorter_edge exactly when resize_mode is shorter-edge-crop", "256"),
        ("post_processing/type", "argmax", "", "'nms' or 'sigmoid' or 'softmax'", '"argmax"'),
        ("post_processing/nms_parameters/iou_threshold", 1.5, "", "float <= 1.0", "1.5"),
        (
            f"{CROP}/x_max",
            10,
            "image_pre_processing.static-crop",
            "x_min < x_max and y_min < y_max",
            "[10, 10, 0, 100]",
        ),
        (f"{CROP}/y_max", 101, "", "int <= 100", "101"),
        ("image_pre_processing/contrast/type", "more", "", CONTRASTS, '"more"'),
        ("free_input_dims", {"x": [0]}, "", "int >= 1", '{"x": [0]}'),
    ],
)
def test_an_impossible_value_is_named_with_its_path(path, value, where, needs, found):
    with pytest.raises(CorruptedModelPackageError) as caught:
        parse_inference_config(changed(path, value))
    stated = path.replace("/", ".")
    parent = stated.rpartition(".")[0]
    where = where if where.startswith("image") else f"{parent}.{where}" if where else stated
    assert str(caught.value) == WRONG.format(where, needs, found)


def test_a_missing_key_is_named():
    with pytest.raises(CorruptedModelPackageError) as caught:
        parse_inference_config("{}", where="x.json")
    assert str(caught.value) == "x.json: network_input is missing.\nneeds the key network_input; found: no such key"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "Expecting value at line 1, column 1"),
        ("[1]", "[1]"),
        ('{"a": NaN}', "NaN, which is not JSON"),
        ('{"a": 1, "a": 2}', 'the key "a" twice'),
        ("[" * 100_000, "values nested too deeply"),
    ],
)
def test_text_that_is_no_json_object_is_refused(text, found):
    with pytest.raises(CorruptedModelPackageError) as caught:
        parse_inference_config(text)
    assert str(caught.value) == f"inference_config.json cannot be read.\nneeds one JSON object; found: {found}"


def test_a_network_may_take_grey_pictures():
    network = {**MINIMAL["network_input"], "input_channels": 1, "normalization": [[0.5], [0.25]]}
    assert parse_inference_config(json.dumps({"network_input": network})).preprocess.channels == 1
    network["normalization"] = [[0.5, 0.5, 0.5], [0.25]]
    with pytest.raises(CorruptedModelPackageError, match="needs 1 number; found"):
        parse_inference_config(json.dumps({"network_input": network}))
