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
HALF = [0.5, 0.5, 0.5]
VIT = {"image_processor_type": "ViTImageProcessor", "size": 224, "resample": 2, "image_mean": HALF, "image_std": HALF}
CLASSIFIER = parse_hub_config(json.dumps({"architectures": ["ViTForImageClassification"], "model_type": "vit"}))

# (first processor name, file, image height and width, (channels, height, width),
#  per channel: mean, first and last value), recorded from the Pil processors of transformers 5.23 with Pillow 12.
RECORDED = [
    ("ViTFeatureExtractor", VIT, (301, 402), (3, 224, 224), [[0.0, -1.0, 1.0], [0.0, -1.0, 1.0], [0.0, -1.0, 1.0]]),
    (
        "ViTImageProcessorFast",
        {"size": {"height": 96, "width": 160}, "resample": 3, **NORMALIZED, "rescale_factor": 1 / 127.5},
        (301, 402),
        (3, 96, 160),
        [[2.2489, -2.0837, 6.5815], [2.4286, -2.0007, 6.8578], [2.64, -1.7696, 7.0496]],
    ),
    (
        "ConvNextFeatureExtractor",
        {"size": 224, "crop_pct": 0.875, "resample": 3, **NORMALIZED},
        (301, 402),
        (3, 224, 224),
        [[0.0591, -1.3815, 1.4783], [0.1964, -1.7556, 2.1485], [0.414, -1.2467, 2.0823]],
    ),
    (
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 384}, "resample": 3, **NORMALIZED},
        (500, 333),
        (3, 384, 384),
        [[0.0655, -2.1179, 2.2489], [0.1964, -2.0357, 2.4286], [0.4178, -1.8044, 2.64]],
    ),
    (
        "CLIPFeatureExtractor",
        {"size": 256, "crop_size": 224, "resample": 3}
        | {"image_mean": [0.48, 0.45, 0.4], "image_std": [0.26, 0.26, 0.27]},
        (500, 333),
        (3, 224, 224),
        [[0.0769, -1.6048, 1.7587], [0.1923, -0.9314, 1.316], [0.3704, -0.9296, 1.6703]],
    ),
    (
        "BitImageProcessor",
        {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 192}, "resample": 2}
        | {"do_rescale": False, "do_normalize": False},
        (301, 402),
        (3, 224, 192),
        [[127.125, 55.0, 198.0], [127.5, 16.0, 239.0], [127.2858, 39.0, 216.0]],
    ),
    (
        "MobileViTImageProcessor",
        {"size": {"shortest_edge": 288}, "crop_size": {"height": 256, "width": 256}, "resample": 2},
        (301, 402),
        (3, 256, 256),
        [[0.5, 0.1216, 0.8784], [0.5, 0.0549, 0.9451], [0.5, 0.1686, 0.8314]],
    ),
]
KNOWN_PROCESSORS = (
    "an image processor of Beit, Bit, CLIP, ConvNext, DeiT, MobileNetV1, MobileNetV2, MobileViT, Pvt, Siglip, ViT"
)


def ramp(height: int, width: int) -> np.ndarray:
    """Red grows to the right, green downwards, blue along the diagonal: any shift or mixed-up channel shows."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [255 * x / (width - 1), 255 * y / (height - 1), 255 * (x + y) / (height + width - 2)]
    return np.stack(planes, -1).round().astype(np.uint8)


def prepared(name: str, file: dict, image: np.ndarray) -> np.ndarray:
    text = json.dumps({"image_processor_type": name, **{k: v for k, v in file.items() if not k.endswith("_type")}})
    spec = parse_inference_config(json.dumps(inference_config_of(CLASSIFIER, text))).preprocess
    images = load_images(image, input_color_format="rgb")
    (batch,) = compile_spec(spec)(images).batches
    return batch[0]


@pytest.mark.parametrize(("name", "file", "size", "shape", "values"), RECORDED)
def test_preparation_agrees_with_transformers(name, file, size, shape, values):
    array = prepared(name, file, ramp(*size))
    assert array.shape == shape
    # A ramp looks the same smoothed: half a grey level for the mean and two for single values remain, of rounding.
    level = (1 if file.get("do_rescale") is False else file.get("rescale_factor", 1 / 255)) / min(
        file.get("image_std", [1])
    )
    found = np.array([[plane.mean(), plane[0, 0], plane[-1, -1]] for plane in array])
    np.testing.assert_allclose(found[:, 0], np.array(values)[:, 0], atol=level / 2)
    np.testing.assert_allclose(found[:, 1:], np.array(values)[:, 1:], atol=2 * level)


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
        {"image_processor_type": "DeiTImageProcessor", "size": 256, "crop_size": 224},
        "a size that is kept",
        "size 256x256, of which 224x224 is cut out",
    ),
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
