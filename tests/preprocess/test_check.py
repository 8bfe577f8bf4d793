"""A spec that contradicts itself is refused when the model is loaded, not at the first image."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec, ResizeMode, StaticCrop
from inference_models.preprocess.compile import compile_spec

GOOD = PreprocessSpec(size=(64, 64))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"size": (0, 5)}, "the network size makes no sense.\nneeds a height and width of at least 1; found: (0, 5)"),
        (
            {"dynamic": DynamicSize(0)},
            "the size multiple makes no sense.\nneeds a whole number of at least 1; found: 0",
        ),
        (
            {"resize": ResizeMode.SHORTER_EDGE_CROP},
            "'shorter-edge-crop' has no edge.\nneeds shorter_edge of at least 1; found: None",
        ),
        (
            {"interpolation": "bilinear"},
            "the interpolation is unknown.\nneeds nearest, linear, cubic, area, lanczos; found: 'bilinear'",
        ),
        ({"pad_value": 256}, "the padding value makes no sense.\nneeds 0 to 255; found: 256"),
        (
            {"scaling_factor": 0},
            "pixels cannot be divided by the scaling factor.\nneeds a number above 0; found: 0",
        ),
        (
            {"scaling_factor": math.nan},
            "pixels cannot be divided by the scaling factor.\nneeds a number above 0; found: nan",
        ),
        ({"mean": (0.5,)}, "the mean makes no sense.\nneeds 3 numbers; found: (0.5,)"),
        (
            {"std": (0.2, 0.0, 0.2)},
            "the standard deviation makes no sense.\nneeds 3 numbers above 0; found: (0.2, 0.0, 0.2)",
        ),
        (
            {"static_crop": StaticCrop(50, 50, 0, 100)},
            (
                "the static crop keeps nothing.\nneeds 0 <= min < max <= 100 on both axes; "
                "found: StaticCrop(x_min=50, x_max=50, y_min=0, y_max=100)"
            ),
        ),
    ],
)
def test_a_contradiction_is_named(change: dict[str, object], text: str) -> None:
    with pytest.raises(CorruptedModelPackageError) as caught:
        compile_spec(replace(GOOD, **change))
    assert str(caught.value) == f"{text}\ncorrect the package's pre-processing configuration"


def test_a_uint8_graph_cannot_be_scaled_for() -> None:
    with pytest.raises(CorruptedModelPackageError) as caught:
        compile_spec(replace(GOOD, scaling_factor=255), dtype="uint8")
    assert str(caught.value) == (
        "the graph takes uint8 pixels, the configuration scales or normalises them.\n"
        "needs no scaling_factor, mean or std with a uint8 graph; found: scaling_factor=255, mean=None, std=None\n"
        "correct the package's pre-processing configuration"
    )
    compile_spec(replace(GOOD, scaling_factor=1), dtype="uint8")


def test_a_dtype_that_holds_no_pixels_is_refused() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        compile_spec(GOOD, dtype="int64")
    assert str(caught.value) == (
        "a network input of dtype 'int64' cannot be filled with images.\n"
        "needs float32, float16, uint8; found: 'int64'\n"
        "export the graph with a float32 input"
    )
