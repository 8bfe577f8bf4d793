from __future__ import annotations

import json
from pathlib import Path

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
DETECTOR = parse_hub_config(json.dumps({"architectures": ["DetrForObjectDetection"], "model_type": "detr"}))
CLASSIFIER = parse_hub_config(json.dumps({"architectures": ["ViTForImageClassification"], "model_type": "vit"}))

KNOWN_PROCESSORS = (
    "an image processor of Beit, Bit, CLIP, ConditionalDetr, ConvNext, DINOv3ViT, DPT, DeformableDetr, DeiT, DepthPro, "
    "Detr, Eomt, GLPN, LightGlue, Mask2Former, MaskFormer, MobileNetV1, MobileNetV2, MobileViT, OneFormer, "
    "PPDocLayoutV2, PPDocLayoutV3, Pvt, RTDetr, RfDetr, Segformer, Siglip, SuperGlue, VJEPA2, ViT, VitPose, "
    "Yolos, ZoeDepth"
)
RECORDED = np.load(Path(__file__).parent / "recorded/preparation.npz")
"""Of `tools/record_preparation.py`, with transformers 5.24, timm 1.0.31 and Pillow 13."""
CASES = json.loads(str(RECORDED["cases"]))


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


def levels_of(file: dict, processor: str) -> float:
    """How much a network input changes with one grey level, at most."""
    scale = 1 if file.get("do_rescale") is False else file.get("rescale_factor", 1 / 255)
    normalizes = file.get("do_normalize", processor not in {"GLPN", "MobileViT", "RTDetr"})
    return scale / min(file.get("image_std", [0.224])) if normalizes else scale


@pytest.mark.parametrize("processor", sorted({case["processor"] for case in CASES}))
def test_preparation_agrees_with_transformers_and_timm_within_a_grey_level(processor):
    for case, values in zip(CASES, RECORDED["values"], strict=True):
        if case["processor"] == processor:
            array = prepared(f"{processor}ImageProcessor", case["file"], stripes(*case["size"]))
            assert list(array.shape) == case["shape"], case
            found = array.reshape(-1)[np.arange(len(values)) * 104_729 % array.size]
            np.testing.assert_allclose(found, values, atol=1.01 * levels_of(case["file"], processor), err_msg=str(case))


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
    [({"crop_mode": "corner"}, "'corner', 'bicubic'"), ({"interpolation": "random"}, "'center', 'random'")],
)
def test_what_timm_does_beyond_our_pre_processing_is_refused(change, found):
    with pytest.raises(ModelImplementationNotFoundError, match=f"crop_mode border, center or squash.*; found: {found}"):
        inference_config_of(CLASSIFIER, json.dumps({"pretrained_cfg": change}))


def test_resampling_filters_are_those_of_pillow():
    for number, name in enumerate(["nearest", "lanczos", "linear", "cubic", "area", "hamming"]):
        config = inference_config_of(CLASSIFIER, json.dumps(VIT | {"resample": number}))
        assert config["network_input"]["interpolation"] == name


def test_processors_of_detr_state_one_number_and_the_most_the_other_side_may_have():
    """As the files of facebook/detr-resnet-50 and hustvl/yolos-tiny do, which leave out the filter."""
    file = {"size": 512, "max_size": 864, **NORMALIZED}
    for name, multiple in (("DetrFeatureExtractor", 1), ("YolosFeatureExtractor", 16)):
        config = inference_config_of(DETECTOR, json.dumps({"feature_extractor_type": name, **file}))
        spec = parse_inference_config(json.dumps(config)).preprocess
        assert (spec.size, spec.resize.value, spec.interpolation) == ((512, 864), "shorter-edge", "linear")
        assert spec.dynamic.multiple == multiple
        assert "post_processing" not in config


def test_pixels_are_divided_by_exactly_255():
    network = inference_config_of(CLASSIFIER, json.dumps(VIT | {"rescale_factor": 0.00392156862745098}))[
        "network_input"
    ]
    assert network["scaling_factor"] == 255.0


SIDES = "height and width, or shortest_edge, in {}"
EDGES = "height and width, or shortest_edge and longest_edge, in size"
REFUSED = [
    ({"image_processor_type": "DonutImageProcessor"}, KNOWN_PROCESSORS, "'DonutImageProcessor'"),
    ({"image_processor_type": None}, KNOWN_PROCESSORS, "none"),
    ({"resample": 6}, "resample of 0, 1, 2, 3, 4, 5", "6"),
    ({"do_resize": False}, "do_resize true", "do_resize false"),
    ({"do_pad": True}, "no do_pad", "do_pad true"),
    ({"size": {"shortest_edge": 224}}, "one size for every image", "shortest_edge 224 without a centre crop"),
    ({"size": {"shortest_edge": 9, "longest_edge": 9}}, SIDES.format("size"), "longest_edge, shortest_edge"),
    # transformers refuses these two as well: ValueError in `resize`
    ({"size": {"longest_edge": 9}}, SIDES.format("size"), "longest_edge"),
    ({"image_processor_type": "DetrImageProcessor", "size": {"longest_edge": 9}}, EDGES, "longest_edge"),
    (
        {"image_processor_type": "YolosImageProcessor", "size": {"max_height": 9, "max_width": 9}},
        EDGES,
        "max_height, max_width",
    ),
    (
        {"image_processor_type": "DetrImageProcessor", "do_pad": True, "pad_size": {"height": 9, "width": 9}},
        "no do_pad",
        "do_pad true",
    ),
    ({"image_processor_type": "DPTImageProcessor", "do_pad": True, "size_divisor": 14}, "no do_pad", "do_pad true"),
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
