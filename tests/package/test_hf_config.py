from __future__ import annotations

import json

import numpy as np
import pytest

from inference_models.errors import CorruptedModelPackageError, ModelImplementationNotFoundError
from inference_models.families import find_graph
from inference_models.package.hf_config import inference_config_of, parse_hub_config
from inference_models.package.inference_config import parse_inference_config
from inference_models.preprocess.compile import compile_spec
from inference_models.preprocess.inputs import load_images

NORMALIZED = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
VIT = {"image_processor_type": "ViTImageProcessor", "size": 224, "resample": 2, **HALF}
CLASSIFIER = parse_hub_config(json.dumps({"architectures": ["ViTForImageClassification"], "model_type": "vit"}))

# (processor, file, image height and width, (channels, height, width), per channel: mean, deviation, first value and
#  that of row h // 2, column w // 3), recorded from the Pil processors of transformers 5.24 and timm 1.0.31, Pillow 13.
RECORDED = [
    (
        "ViTFeatureExtractor",
        {"size": 224, "resample": 2, **HALF},
        (301, 402),
        (3, 224, 224),
        [[-0.0039, 0.22, 0.1059, -0.051], [-0.0039, 0.22, -0.0902, -0.2157], [0.0039, 0.22, -0.1059, 0.051]],
    ),
    (
        "ViTImageProcessorFast",
        {"size": {"height": 96, "width": 160}, "resample": 3, **NORMALIZED, "rescale_factor": 1 / 127.5},
        (301, 402),
        (3, 96, 160),
        [[2.232, 0.9967, 2.8825, 2.6428], [2.4113, 1.0189, 2.0259, 0.9405], [2.6572, 1.0144, 1.9951, 2.2391]],
    ),
    (
        "ConvNextFeatureExtractor",
        {"size": 224, "crop_pct": 0.875, "resample": 3, **NORMALIZED},
        (301, 402),
        (3, 224, 224),
        [[0.0569, 0.515, -0.9534, 0.1768], [0.1876, 0.5265, 1.1506, 0.6779], [0.4266, 0.5242, 1.4548, 0.3045]],
    ),
    (
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 384}, "resample": 3, **NORMALIZED},
        (500, 333),
        (3, 384, 384),
        [[0.0569, 0.514, 0.0398, -0.4568], [0.1877, 0.5254, 0.2052, 0.0476], [0.4265, 0.5231, 0.4439, 0.9494]],
    ),
    (
        "CLIPFeatureExtractor",
        {
            "size": 256,
            "crop_size": 224,
            "resample": 3,
            "image_mean": [0.48, 0.45, 0.4],
            "image_std": [0.26, 0.26, 0.27],
        },
        (500, 333),
        (3, 224, 224),
        [[0.0694, 0.4507, -0.0965, 0.3861], [0.1848, 0.4507, 0.1697, 0.2753], [0.3776, 0.434, 0.5374, 0.0726]],
    ),
    (
        "BitImageProcessor",
        {
            "size": {"shortest_edge": 256},
            "crop_size": {"height": 224, "width": 192},
            "resample": 2,
            "do_rescale": False,
            "do_normalize": False,
        },
        (301, 402),
        (3, 224, 192),
        [[127.0081, 28.9834, 144.0, 120.0], [127.0081, 28.9834, 112.0, 99.0], [127.9944, 28.9837, 111.0, 135.0]],
    ),
    (
        "MobileViTImageProcessor",
        {"size": {"shortest_edge": 288}, "crop_size": {"height": 256, "width": 256}, "resample": 2},
        (301, 402),
        (3, 256, 256),
        [[0.502, 0.1151, 0.6157, 0.4706], [0.498, 0.1151, 0.6706, 0.6], [0.498, 0.1151, 0.3843, 0.5294]],
    ),
    (
        "DeiTImageProcessor",
        {"size": {"height": 256, "width": 256}, "crop_size": {"height": 224, "width": 224}, "resample": 3, **HALF},
        (301, 402),
        (3, 224, 224),
        [[-0.004, 0.235, -0.4667, 0.0431], [-0.004, 0.235, 0.4275, 0.2078], [0.004, 0.235, 0.4667, -0.0431]],
    ),
    (
        "SiglipImageProcessor",
        {"size": {"height": 192, "width": 192}, "resample": 1, **HALF},
        (720, 480),
        (3, 192, 192),
        [[-0.0039, 0.2395, 0.1373, -0.3255], [-0.0039, 0.2395, 0.0745, -0.2157], [0.0039, 0.2395, -0.1373, 0.3255]],
    ),
    (
        "PvtImageProcessor",
        {"size": {"height": 100, "width": 80}, "resample": 4, **NORMALIZED},
        (301, 402),
        (3, 100, 80),
        [[0.057, 0.4074, 0.6563, 0.3138], [0.1878, 0.4165, -0.1975, -0.4601], [0.4265, 0.4147, -0.1835, 0.1651]],
    ),
    (
        "BeitImageProcessor",
        {"size": {"height": 256, "width": 200}, "resample": 0, "do_center_crop": False, **HALF},
        (301, 402),
        (3, 256, 200),
        [[-0.0039, 0.237, 0.1922, 0.0039], [-0.0039, 0.237, -0.1686, -0.2706], [0.0039, 0.237, -0.1922, -0.0039]],
    ),
    (
        "TimmWrapperImageProcessor",
        {
            "pretrained_cfg": {
                "input_size": [3, 224, 224],
                "interpolation": "bicubic",
                "crop_pct": 0.95,
                "crop_mode": "center",
                "mean": [0.485, 0.456, 0.406],
                "std": [0.229, 0.224, 0.225],
            }
        },
        (301, 402),
        (3, 224, 224),
        [[0.057, 0.5148, 0.4508, 0.0569], [0.1877, 0.525, -0.32, 0.1702], [0.4265, 0.524, 0.0256, 0.4265]],
    ),
    (
        "TimmWrapperImageProcessor",
        {"pretrained_cfg": {}},
        (720, 480),
        (3, 224, 224),
        [[0.057, 0.5093, -0.0458, 1.0331], [0.1877, 0.5207, 0.4153, 1.028], [0.4265, 0.5183, 0.5311, -0.567]],
    ),
    (
        "TimmWrapperImageProcessor",
        {
            "pretrained_cfg": {
                "input_size": [3, 160, 160],
                "interpolation": "bilinear",
                "crop_pct": 1.0,
                "crop_mode": "squash",
                "mean": [0.5, 0.5, 0.5],
                "std": [0.5, 0.5, 0.5],
            }
        },
        (720, 480),
        (3, 160, 160),
        [[-0.0039, 0.1725, 0.1451, -0.1373], [-0.0039, 0.1725, 0.0588, -0.0902], [0.0039, 0.1725, -0.1451, 0.1373]],
    ),
    (
        "TimmWrapperImageProcessor",
        {
            "pretrained_cfg": {
                "input_size": [3, 192, 128],
                "interpolation": "bicubic",
                "crop_pct": 0.9,
                "crop_mode": "squash",
                "mean": [0.5, 0.5, 0.5],
                "std": [0.5, 0.5, 0.5],
            }
        },
        (301, 402),
        (3, 192, 128),
        [[-0.0039, 0.2296, -0.0118, 0.1137], [-0.0039, 0.2299, -0.098, 0.1137], [0.0039, 0.2296, 0.0118, -0.1137]],
    ),
]
KNOWN_PROCESSORS = (
    "an image processor of Beit, Bit, CLIP, ConvNext, DeiT, MobileNetV1, MobileNetV2, MobileViT, Pvt, Siglip, ViT"
)


def stripes(height: int, width: int) -> np.ndarray:
    """Waves so short that they vanish when a resize smooths, and turn into others when it does not."""
    y, x = np.mgrid[:height, :width]
    red = 127 + 60 * np.sin(x / 2.3) * np.cos(y / 3.1)
    return np.stack([red, red[::-1], 255 - red], -1).round().astype(np.uint8)


def prepared(name: str, file: dict, image: np.ndarray) -> np.ndarray:
    text = json.dumps({"image_processor_type": name, **{k: v for k, v in file.items() if not k.endswith("_type")}})
    spec = parse_inference_config(json.dumps(inference_config_of(CLASSIFIER, text))).preprocess
    images = load_images(image, input_color_format="rgb")
    (batch,) = compile_spec(spec)(images).batches
    return batch[0]


@pytest.mark.parametrize(("name", "file", "size", "shape", "values"), RECORDED)
def test_preparation_agrees_with_transformers_and_timm(name, file, size, shape, values):
    array = prepared(name, file, stripes(*size))
    assert array.shape == shape
    # One grey level for single values, a hundredth for the whole.
    level = (1 if file.get("do_rescale") is False else file.get("rescale_factor", 1 / 255)) / min(
        file.get("image_std") or file.get("pretrained_cfg", {}).get("std", [0.224])
    )
    row, column = shape[1] // 2, shape[2] // 3
    found = np.array([[plane.mean(), plane.std(), plane[0, 0], plane[row, column]] for plane in array])
    np.testing.assert_allclose(found[:, :2], np.array(values)[:, :2], atol=level / 100)
    np.testing.assert_allclose(found[:, 2:], np.array(values)[:, 2:], atol=level)


def test_timm_alone_says_how_images_are_prepared_in_its_config():
    text = {
        "architecture": "resnet18",
        "num_classes": 2,
        "label_names": ["a", "b"],
        "pretrained_cfg": {"crop_pct": 1.0},
    }
    config = parse_hub_config(json.dumps(text))
    assert (config.architecture, config.task_type, config.class_names) == ("classifier", "classification", ("a", "b"))
    network = inference_config_of(config, None)["network_input"]
    assert (network["shorter_edge"], network["interpolation"], network["antialias"]) == (224, "cubic", True)
    assert parse_hub_config(json.dumps({**text, "num_classes": 0})).task_type is None


@pytest.mark.parametrize(
    ("change", "found"),
    [({"crop_mode": "border"}, "'border', 'bicubic'"), ({"interpolation": "hamming"}, "'center', 'hamming'")],
)
def test_what_timm_does_beyond_our_pre_processing_is_refused(change, found):
    with pytest.raises(ModelImplementationNotFoundError, match=f"crop_mode center or squash.*; found: {found}"):
        inference_config_of(CLASSIFIER, json.dumps({"pretrained_cfg": change}))


def test_resampling_filters_are_those_of_pillow():
    for number, name in enumerate(["nearest", "lanczos", "linear", "cubic", "area"]):
        config = inference_config_of(CLASSIFIER, json.dumps(VIT | {"resample": number}))
        assert config["network_input"]["interpolation"] == name


def test_pixels_are_divided_by_exactly_255():
    network = inference_config_of(CLASSIFIER, json.dumps(VIT | {"rescale_factor": 0.00392156862745098}))[
        "network_input"
    ]
    assert network["scaling_factor"] == 255.0


SIDES = "height and width, or shortest_edge, in {}"
REFUSED = [
    ({"image_processor_type": "DonutImageProcessor"}, KNOWN_PROCESSORS, "'DonutImageProcessor'"),
    ({"image_processor_type": None}, KNOWN_PROCESSORS, "none"),
    ({"resample": 5}, "resample of 0, 1, 2, 3, 4", "5"),
    ({"do_resize": False}, "do_resize true", "do_resize false"),
    ({"do_pad": True}, "no do_pad", "do_pad true"),
    ({"size": {"shortest_edge": 224}}, "one size for every image", "shortest_edge 224 without a centre crop"),
    ({"size": {"shortest_edge": 9, "longest_edge": 9}}, SIDES.format("size"), "longest_edge, shortest_edge"),
    ({"do_center_crop": True, "crop_size": {"shortest_edge": 3}}, SIDES.format("crop_size"), "shortest_edge"),
    (
        {"image_processor_type": "ConvNextImageProcessor", "size": {"height": 8, "width": 8}},
        "size.shortest_edge",
        "size 8x8",
    ),
]


@pytest.mark.parametrize(("change", "needs", "found"), REFUSED)
def test_what_we_do_not_do_exactly_is_refused(change, needs, found):
    with pytest.raises(ModelImplementationNotFoundError) as caught:
        inference_config_of(CLASSIFIER, json.dumps(VIT | change))
    assert str(caught.value) == (
        "preprocessor_config.json asks for pre-processing that this library does not do.\n"
        f"needs {needs}; found: {found}\n"
        "write a package folder with an inference_config.json of your own, and load that"
    )


def test_grey_models_are_refused():
    grey = parse_hub_config('{"architectures": ["ViTForImageClassification"], "num_channels": 1}')
    with pytest.raises(ModelImplementationNotFoundError, match="needs num_channels 3; found: 1"):
        inference_config_of(grey, json.dumps(VIT))


@pytest.mark.parametrize("key", ["size", "resample", "image_mean", "image_std"])
def test_what_releases_of_transformers_fill_in_differently_must_be_stated(key):
    with pytest.raises(CorruptedModelPackageError) as caught:
        inference_config_of(CLASSIFIER, json.dumps({name: value for name, value in VIT.items() if name != key}))
    assert str(caught.value) == (
        f"preprocessor_config.json does not say how images are prepared.\nneeds the key {key}; found: no such key"
    )


def test_beit_must_say_whether_it_crops():
    beit = VIT | {"image_processor_type": "BeitImageProcessor"}
    with pytest.raises(CorruptedModelPackageError, match="needs the key do_center_crop"):
        inference_config_of(CLASSIFIER, json.dumps(beit))
    assert inference_config_of(CLASSIFIER, json.dumps(beit | {"do_center_crop": False}))


@pytest.mark.parametrize(
    ("architecture", "model_type", "expected"),
    [
        ("ViTForImageClassification", "vit", ("vit", "classification")),
        ("ResNetForImageClassification", "resnet", ("resnet", "classification")),
        ("ConvNextV2ForImageClassification", "convnextv2", ("classifier", "classification")),
        ("YolosForObjectDetection", "yolos", ("yolos", "object-detection")),
        ("Owlv2ForZeroShotObjectDetection", "owlv2", ("owlv2", "open-vocabulary-object-detection")),
        ("DepthAnythingForDepthEstimation", "depth_anything", ("depth_anything", "depth-estimation")),
        ("DeiTForImageClassificationWithTeacher", "deit", ("deit", None)),
        ("BertModel", "bert", ("bert", None)),
    ],
)
def test_architectures_become_families_and_tasks(architecture, model_type, expected):
    config = parse_hub_config(json.dumps({"architectures": [architecture], "model_type": model_type}))
    assert (config.architecture, config.task_type) == expected
    if config.classifies:
        assert find_graph(*expected)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (
            {"0": "a", "2": "b"},
            "config.json: id2label does not number the classes.\nneeds every number from 0 to 1; found: '0', '2'",
        ),
        (
            {"0": "\u202ea"},
            (
                "config.json: id2label: the name of class 0 cannot be shown.\n"
                "needs no control characters; found: '\\u202ea'"
            ),
        ),
    ],
)
def test_class_names_without_their_number_or_that_cannot_be_shown_are_refused(labels, text):
    with pytest.raises(CorruptedModelPackageError) as caught:
        parse_hub_config(json.dumps({"id2label": labels}))
    assert str(caught.value) == text


def test_blank_and_two_line_class_names_keep_their_number():
    assert parse_hub_config(json.dumps({"id2label": {"1": " ", "0": "a\nb", "2": "c"}})).class_names == (
        "a\nb",
        " ",
        "c",
    )


def test_class_names_are_in_the_order_of_their_numbers():
    labels = {str(index): f"class {index}" for index in reversed(range(12))}
    names = parse_hub_config(json.dumps({"id2label": labels})).class_names
    assert names == tuple(f"class {index}" for index in range(12))
    assert parse_hub_config("{}").class_names is None
