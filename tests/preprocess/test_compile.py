"""The whole way from images to network inputs, against plain OpenCV 5.0 calls and NumPy arithmetic."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from inference_models.entities import PreProcessingOverrides
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from inference_models.package.preprocess_spec import Contrast, DynamicSize, PreprocessSpec, ResizeMode, StaticCrop
from inference_models.preprocess.compile import compile_spec
from inference_models.preprocess.contrast import enhance
from inference_models.preprocess.geometry import plan_image
from inference_models.preprocess.inputs import SourceImage, load_images
from inference_models.preprocess.values import MAX_IDLE_BYTES
from optional import torch

RGB = skimage.data.coffee()
BGR = np.ascontiguousarray(RGB[..., ::-1])
PORTRAIT = np.ascontiguousarray(np.rot90(skimage.data.chelsea()))[..., ::-1]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SPEC = PreprocessSpec(size=(320, 416), resize=ResizeMode.LETTERBOX, pad_value=114, scaling_factor=255)


def one(spec: PreprocessSpec, image: object, *, dtype: str = "float32", **options: object) -> np.ndarray:
    (batch,) = compile_spec(spec, dtype=dtype)(load_images(image), **options).batches
    assert batch.flags.c_contiguous
    assert batch.dtype == dtype
    return batch[0]


def arithmetic(frame: np.ndarray, spec: PreprocessSpec, *, flip: bool) -> np.ndarray:
    """(h, w, 3) pixels to (3, h, w) float64, straight from the definition."""
    values = frame.astype(np.float64)[..., ::-1] if flip else frame.astype(np.float64)
    values = (values / (spec.scaling_factor or 1) - (spec.mean or (0,) * 3)) / (spec.std or (1,) * 3)
    return values.transpose(2, 0, 1)


def letterboxed(
    image: np.ndarray, size: tuple[int, int], value: int, *, border: int = cv2.BORDER_CONSTANT
) -> np.ndarray:
    scale = min(size[1] / image.shape[1], size[0] / image.shape[0])
    width, height = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    left, top = int((size[1] - width) / 2), int((size[0] - height) / 2)
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    rest = (size[0] - height - top, left, size[1] - width - left)
    return cv2.copyMakeBorder(resized, top, *rest, border, value=(value,) * 3)


@pytest.mark.parametrize("network", ["rgb", "bgr"])
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("image", [BGR, PORTRAIT], ids=["landscape", "portrait"])
def test_letterbox_equals_opencv(image: np.ndarray, network: str, normalised: bool) -> None:
    spec = replace(SPEC, color=network, mean=MEAN if normalised else None, std=STD if normalised else None)
    expected = arithmetic(letterboxed(np.ascontiguousarray(image), SPEC.size, 114), spec, flip=network == "rgb")
    # The table is computed in float64 and rounded once to float32.
    np.testing.assert_allclose(one(spec, image), expected, rtol=6e-8, atol=6e-8)


FLAGS = {"nearest": "NEAREST", "linear": "LINEAR", "cubic": "CUBIC", "area": "AREA", "lanczos": "LANCZOS4"}


@pytest.mark.parametrize("mode", [ResizeMode.LETTERBOX, ResizeMode.STRETCH])
@pytest.mark.parametrize("name", FLAGS)
def test_every_interpolation_is_the_one_of_opencv(name: str, mode: ResizeMode) -> None:
    spec = PreprocessSpec(size=(200, 300), resize=mode, interpolation=name, color="bgr")
    # The picture is 600 x 400, so a letterbox leaves no padding.
    expected = cv2.resize(BGR, (300, 200), interpolation=getattr(cv2, f"INTER_{FLAGS[name]}"))
    np.testing.assert_array_equal(one(spec, BGR), expected.transpose(2, 0, 1))


PILLOW = {
    "nearest": "NEAREST",
    "linear": "BILINEAR",
    "cubic": "BICUBIC",
    "area": "BOX",
    "lanczos": "LANCZOS",
    "hamming": "HAMMING",
}


@pytest.mark.parametrize("size", [(200, 300), (90, 700)], ids=["smaller", "narrower and wider"])
@pytest.mark.parametrize("name", PILLOW)
def test_an_antialiased_resize_is_the_one_of_pillow(name: str, size: tuple[int, int]) -> None:
    spec = PreprocessSpec(size=size, interpolation=name, antialias=True)
    expected = np.asarray(Image.fromarray(RGB).resize(size[::-1], Image.Resampling[PILLOW[name]])).transpose(2, 0, 1)
    np.testing.assert_array_equal(one(spec, BGR), expected)
    floats = load_images(BGR.astype(np.float32), input_range="0-255")
    np.testing.assert_array_equal(compile_spec(spec)(floats).batches[0][0], expected)


@pytest.mark.parametrize(("name", "mode"), [("linear", "bilinear"), ("cubic", "bicubic")])
def test_an_antialiased_resize_of_floats_is_the_one_of_tensors(name: str, mode: str) -> None:
    spec = PreprocessSpec(size=(200, 299), interpolation=name, antialias=True, as_float=True)
    tensor = torch.from_numpy(RGB.transpose(2, 0, 1).astype(np.float32))[None]
    expected = torch.nn.functional.interpolate(tensor, (200, 299), mode=mode, antialias=True)[0].numpy()
    np.testing.assert_allclose(one(spec, BGR), expected, atol=1e-2)


def test_the_fill_around_a_picture_has_the_order_of_the_network() -> None:
    stated = {"resize": ResizeMode.FIT_CROP, "resized": (300, 300), "pad_value": (124, 116, 104)}
    for color in ("rgb", "bgr"):
        frame = one(PreprocessSpec(size=(300, 300), color=color, **stated), BGR)
        assert frame[:, 0, 0].tolist() == [124, 116, 104]
        assert frame[:, -1, -1].tolist() == [124, 116, 104]


@pytest.mark.parametrize("side", [1, 616, 20, 1283, 98, 196, 1274])
@pytest.mark.parametrize("pad_at", ["both", "end"])
def test_a_square_picture_fills_a_square_letterbox(side: int, pad_at: str) -> None:
    spec = replace(SPEC, size=(640, 640), pad_at=pad_at)
    assert plan_image(spec, (side, side)).placement.resized == (640, 640)


# (height, width) and what is left of 640 x 480: (height, width), top and left; recorded from ultralytics 8.4.190.
@pytest.mark.parametrize(
    ("size", "resized", "at"),
    [
        ((616, 616), (480, 480), (80, 0)),
        ((333, 500), (320, 480), (160, 0)),
        ((1080, 1920), (270, 480), (185, 0)),
        ((427, 640), (320, 480), (160, 0)),
        ((721, 1283), (270, 480), (185, 0)),
        ((1, 300), (2, 480), (319, 0)),
        ((101, 77), (630, 480), (5, 0)),
        ((4000, 3001), (640, 480), (0, 0)),
        ((483, 359), (640, 476), (0, 2)),
    ],
)
def test_letterbox_rounds_as_ultralytics_does(
    size: tuple[int, int], resized: tuple[int, int], at: tuple[int, int]
) -> None:
    placement = plan_image(replace(SPEC, size=(640, 480)), size).placement
    assert (placement.resized, placement.at) == (resized, at)


@pytest.mark.parametrize("shape", [(30, 40), (1, 1), (1, 300), (300, 1), (2, 500)])
def test_reflected_edges_equal_opencv_even_for_images_narrower_than_the_padding(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    spec = replace(SPEC, size=(120, 160), resize=ResizeMode.LETTERBOX_REFLECT_EDGES, color="bgr")
    expected = letterboxed(image, (120, 160), 0, border=cv2.BORDER_REFLECT_101)
    np.testing.assert_allclose(one(spec, image), arithmetic(expected, spec, flip=False), rtol=6e-8, atol=6e-8)


def test_padding_can_lie_at_the_end_only() -> None:
    spec = replace(SPEC, size=(640, 640), pad_at="end", color="bgr", scaling_factor=None)
    frame = one(spec, BGR).transpose(1, 2, 0)
    np.testing.assert_array_equal(frame[:426], cv2.resize(BGR, (640, 426)))
    assert (frame[426:] == 114).all()


@pytest.mark.parametrize(("height", "width"), [(101, 51), (500, 701), (401, 101), (101, 700)])
def test_center_crop_cuts_and_pads_around_the_middle(height: int, width: int) -> None:
    spec = PreprocessSpec(size=(height, width), resize=ResizeMode.CENTER_CROP, color="bgr", pad_value=50)
    expected = np.zeros((height, width, 3))
    for y in range(height):
        for x in range(width):
            source = (
                y + (400 - height) // 2 if height <= 400 else y - (height - 400) // 2,
                x + (600 - width) // 2 if width <= 600 else x - (width - 600) // 2,
            )
            if 0 <= source[0] < 400 and 0 <= source[1] < 600:
                expected[y, x] = BGR[source]
    np.testing.assert_array_equal(one(spec, BGR).transpose(1, 2, 0), expected)


@pytest.mark.parametrize(
    ("mode", "resized"),
    [
        ({"resize": ResizeMode.SHORTER_EDGE_CROP, "shorter_edge": 256}, (384, 256)),
        ({"resize": ResizeMode.STRETCH_CROP, "resized": (256, 240)}, (240, 256)),
    ],
)
@pytest.mark.parametrize("antialias", [False, True])
def test_crops_are_the_evaluation_transforms_of_image_classifiers(
    mode: dict, resized: tuple[int, int], antialias: bool
) -> None:
    spec = PreprocessSpec(size=(224, 224), antialias=antialias, scaling_factor=255, mean=MEAN, std=STD, **mode)
    left, top = (resized[0] - 224) // 2, (resized[1] - 224) // 2
    smooth = np.asarray(Image.fromarray(BGR).resize(resized, Image.Resampling.BILINEAR))
    frame = (smooth if antialias else cv2.resize(BGR, resized))[top : top + 224, left : left + 224]
    np.testing.assert_allclose(one(spec, BGR), arithmetic(frame, spec, flip=True), rtol=6e-8, atol=6e-8)


def test_a_classifier_of_ultralytics_that_is_not_square_is_stretched_to() -> None:
    spec = PreprocessSpec(size=(96, 160), resize=ResizeMode.SHORTER_EDGE_CROP, antialias=True)
    expected = np.asarray(Image.fromarray(RGB).resize((160, 96), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    np.testing.assert_array_equal(one(spec, BGR), expected)


def test_shorter_edge_crop_pads_with_zero_where_the_network_is_larger() -> None:
    spec = PreprocessSpec(size=(100, 100), resize=ResizeMode.SHORTER_EDGE_CROP, shorter_edge=80, color="bgr")
    frame = one(spec, BGR[:, :400]).transpose(1, 2, 0)
    np.testing.assert_array_equal(frame[10:90, 10:90], cv2.resize(BGR[:, :400], (80, 80)))
    assert frame.sum() == frame[10:90, 10:90].sum()


def test_fit_longer_edge_gives_the_size_of_the_resized_image() -> None:
    spec = PreprocessSpec(size=(640, 640), resize=ResizeMode.FIT_LONGER_EDGE, color="bgr")
    prepared = compile_spec(spec)(load_images([BGR, PORTRAIT, BGR]))
    assert [batch.shape for batch in prepared.batches] == [(1, 3, 427, 640), (1, 3, 640, 426), (1, 3, 427, 640)]
    assert prepared.inputs is prepared.batches
    assert [t.network_size for t in prepared.transforms] == [(427, 640), (640, 426), (427, 640)]
    np.testing.assert_array_equal(prepared.batches[2][0], cv2.resize(BGR, (640, 427)).transpose(2, 0, 1))


def test_fit_longer_edge_rounds_halves_to_even() -> None:
    spec = PreprocessSpec(size=(100, 100), resize=ResizeMode.FIT_LONGER_EDGE)
    assert one(spec, np.zeros((5, 200, 3), np.uint8)).shape == (3, 2, 100)
    assert one(spec, np.zeros((7, 200, 3), np.uint8)).shape == (3, 4, 100)


@pytest.mark.parametrize("mode", ResizeMode)
@pytest.mark.parametrize("shape", [(1, 1), (1, 10_000), (10_000, 1)])
def test_degenerate_images_become_at_least_one_pixel(shape: tuple[int, int], mode: ResizeMode) -> None:
    image = np.full((*shape, 3), 200, np.uint8)
    spec = PreprocessSpec(size=(64, 64), resize=mode, shorter_edge=8, static_crop=StaticCrop(10, 90, 10, 90))
    prepared = compile_spec(spec)(load_images(image))
    assert prepared.batches[0].max() == 200
    assert min(prepared.transforms[0].network_size) >= 1
    assert prepared.transforms[0].crop_size == (max(1, shape[0] * 8 // 10), max(1, shape[1] * 8 // 10))


def test_float_images_are_resized_as_floats() -> None:
    spec = replace(SPEC, mean=MEAN, std=STD)
    image = BGR.astype(np.float32) / 255
    (batch,) = compile_spec(spec)(load_images(image, input_range="0-1")).batches
    expected = arithmetic(letterboxed(image * np.float32(255), SPEC.size, 114), spec, flip=True)
    np.testing.assert_allclose(batch[0], expected, atol=3e-6)  # float32 arithmetic instead of float64


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("network", ["rgb", "bgr"])
def test_channels_last_holds_the_same_values(network: str, dtype: str) -> None:
    spec = PreprocessSpec(size=(100, 150), color=network)
    last = one(replace(spec, layout="nhwc"), BGR, dtype=dtype)
    assert last.shape == (100, 150, 3)
    np.testing.assert_array_equal(last.transpose(2, 0, 1), one(spec, BGR, dtype=dtype))
    floats = load_images(BGR.astype(np.float32), input_range="0-255")
    (slow,) = compile_spec(replace(spec, layout="nhwc"), dtype=dtype)(floats).batches
    # The uint8 resize rounds its 11-bit weights, the float one does not.
    assert np.abs(slow[0].astype(np.float32) - last).max() <= 1


def test_half_precision_is_the_rounded_single_precision() -> None:
    spec = replace(SPEC, mean=MEAN, std=STD)
    np.testing.assert_array_equal(one(spec, BGR, dtype="float16"), one(spec, BGR).astype(np.float16))


def test_a_uint8_graph_gets_the_pixels() -> None:
    spec = replace(SPEC, scaling_factor=None, color="bgr")
    np.testing.assert_array_equal(one(spec, BGR, dtype="uint8"), letterboxed(BGR, SPEC.size, 114).transpose(2, 0, 1))


def test_a_uint8_graph_cannot_be_scaled_for() -> None:
    with pytest.raises(CorruptedModelPackageError) as caught:
        compile_spec(PreprocessSpec(size=(8, 8), scaling_factor=255), dtype="uint8")
    assert str(caught.value) == (
        "the graph takes uint8 pixels, the configuration scales or normalises them.\n"
        "needs no scaling_factor, mean or std with a uint8 graph; found: scaling_factor=255, mean=None, std=None\n"
        "correct the package's pre-processing configuration"
    )
    compile_spec(PreprocessSpec(size=(8, 8), scaling_factor=1), dtype="uint8")


def test_a_dtype_that_holds_no_pixels_is_refused() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        compile_spec(PreprocessSpec(size=(8, 8)), dtype="int64")
    assert str(caught.value) == (
        "a network input of dtype 'int64' cannot be filled with images.\n"
        "needs float32, float16, uint8; found: 'int64'\nexport the graph with a float32 input"
    )


def test_steps_come_in_order_and_one_call_can_leave_them_out() -> None:
    spec = PreprocessSpec(
        size=(80, 90),
        color="bgr",
        static_crop=StaticCrop(10, 90, 25, 75),
        grayscale=True,
        contrast=Contrast.CONTRAST_STRETCHING,
    )

    def expected(image: np.ndarray, *, crop: bool = True, grey: bool = True, contrast: bool = True) -> np.ndarray:
        image = np.ascontiguousarray(image[100:300, 60:540]) if crop else image
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR) if grey else image
        image = enhance(image, spec.contrast) if contrast else image
        return cv2.resize(image, (90, 80)).transpose(2, 0, 1)

    np.testing.assert_array_equal(one(spec, BGR), expected(BGR))
    for option, part in (("static_crop", "crop"), ("grayscale", "grey"), ("contrast_enhancement", "contrast")):
        overrides = PreProcessingOverrides(**{f"disable_{option}": True})
        np.testing.assert_array_equal(one(spec, BGR, overrides=overrides), expected(BGR, **{part: False}))


def test_grey_weights_follow_the_colour_of_the_image() -> None:
    spec = PreprocessSpec(size=(400, 600), grayscale=True)
    preprocess = compile_spec(spec)
    (first,) = preprocess([SourceImage(BGR, "bgr")]).batches
    (second,) = preprocess([SourceImage(RGB, "rgb")]).batches
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[0, 0], cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY))


def test_contrast_of_float_images_works_on_eight_bits() -> None:
    spec = PreprocessSpec(size=(400, 600), contrast=Contrast.HISTOGRAM_EQUALIZATION, color="bgr")
    floats = load_images(BGR.astype(np.float64), input_range="0-255")
    np.testing.assert_array_equal(compile_spec(spec)(floats).batches[0][0], one(spec, BGR))


@pytest.mark.parametrize(
    ("size", "dynamic", "image_size", "expected"),
    [
        ((320, 416), None, None, (320, 416)),
        ((320, 416), None, (416, 320), (320, 416)),
        ((320, 416), DynamicSize(32), None, (320, 416)),
        ((320, 416), DynamicSize(32), 500, (512, 512)),
        ((320, 416), DynamicSize(32), np.int64(100), (128, 128)),
        ((320, 416), DynamicSize(32), (500, 96), (96, 512)),
        ((320, 416), DynamicSize(), (500, 97), (97, 500)),
        (None, DynamicSize(32), None, (416, 608)),
        (None, None, None, (400, 600)),
        (None, None, 77, (77, 77)),
    ],
)
def test_the_network_size_follows_the_call_where_the_network_allows_it(
    size: tuple[int, int] | None,
    dynamic: DynamicSize | None,
    image_size: int | tuple[int, int] | None,
    expected: tuple[int, int],
) -> None:
    spec = PreprocessSpec(size=size, dynamic=dynamic, resize=ResizeMode.LETTERBOX)
    assert one(spec, BGR, image_size=image_size).shape == (3, *expected)


def test_a_fixed_size_refuses_another_one() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        one(SPEC, BGR, image_size=(640, 480))
    assert str(caught.value) == (
        "image_size=(640, 480) cannot be used: this network takes one size only.\n"
        "needs a package with a dynamic input size; found: width 416, height 320, fixed\n"
        "leave image_size out"
    )


@pytest.mark.parametrize("value", [0, -5, True, 1.5, "640", (640,), (640, 0), (1, 2, 3)])
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        one(replace(SPEC, dynamic=DynamicSize()), BGR, image_size=value)
    assert str(caught.value) == (
        f"image_size={value!r} is not a size.\n"
        f"needs a whole number of pixels up to 32768, or (width, height); found: {value!r}\n"
        "pass for example image_size=640, or image_size=(1280, 720)"
    )


def test_a_size_that_would_take_gigabytes_is_refused_before_memory_is() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        one(replace(SPEC, dynamic=DynamicSize()), BGR, image_size=20_000)
    assert str(caught.value) == (
        "image_size=20000 is too large.\nneeds at most 67108864 pixels; found: 400000000\ncut the image into tiles"
    )


def test_a_batch_holds_images_of_all_sizes_in_their_order() -> None:
    images = [BGR, PORTRAIT, BGR[:1, :1], BGR[..., :1]]
    prepared = compile_spec(SPEC)(load_images(images))
    assert prepared.inputs.shape == (4, 3, 320, 416)
    for row, image in zip(prepared.inputs, images, strict=True):
        np.testing.assert_array_equal(row, one(SPEC, image))
    assert [t.image_size for t in prepared.transforms] == [image.shape[:2] for image in images]


def test_an_array_stays_the_callers_until_it_is_released() -> None:
    preprocess = compile_spec(SPEC)
    first = preprocess(load_images(BGR))
    kept, content = first.inputs, first.inputs.copy()
    second = preprocess(load_images(PORTRAIT))
    assert not np.shares_memory(kept, second.inputs)
    np.testing.assert_array_equal(kept, content)
    first.release()
    first.release()
    with preprocess(load_images(PORTRAIT)) as third:
        assert np.shares_memory(kept, third.inputs)
        np.testing.assert_array_equal(third.inputs, second.inputs)
    assert third.batches == []


def test_idle_buffers_do_not_pile_up() -> None:
    preprocess = compile_spec(replace(SPEC, dynamic=DynamicSize(32)))
    for side in (320, 320, *range(1024, 3100, 128)):
        preprocess(load_images(BGR), image_size=side).release()
        one_call = side * side * 3 * (1 + 1 + 4)  # frame, planes and float32 values
        assert preprocess._pool.idle_bytes <= (one_call if side == 320 else MAX_IDLE_BYTES)


@pytest.mark.parametrize(
    ("crop", "size", "kept"),
    [
        (StaticCrop(10, 90, 0, 100), (100, 200), (20, 0, 160, 100)),
        (StaticCrop(33, 66, 33, 66), (10, 101), (33, 3, 33, 3)),
        (StaticCrop(29, 58, 0, 100), (1, 100), (28, 0, 29, 1)),
        (StaticCrop(99, 100, 99, 100), (1, 1), (0, 0, 1, 1)),
        (StaticCrop(0, 1, 0, 1), (5, 5), (0, 0, 1, 1)),
    ],
)
def test_a_crop_truncates_to_whole_pixels_and_keeps_at_least_one(
    crop: StaticCrop, size: tuple[int, int], kept: tuple[int, int, int, int]
) -> None:
    transform = plan_image(PreprocessSpec(size=(8, 8), static_crop=crop), size).transform
    assert (*transform.crop_offset, *transform.crop_size[::-1]) == kept


def test_the_callers_pixels_are_never_written_to() -> None:
    image = BGR.copy()
    for mode in ResizeMode:
        spec = PreprocessSpec(
            size=(400, 600), resize=mode, shorter_edge=64, grayscale=True, contrast=Contrast.CONTRAST_STRETCHING
        )
        one(spec, image)
    np.testing.assert_array_equal(image, BGR)


@pytest.mark.parametrize(
    "mode", [ResizeMode.LETTERBOX, ResizeMode.LETTERBOX_REFLECT_EDGES, ResizeMode.SHORTER_EDGE_CROP]
)
def test_threads_do_not_see_each_others_pixels(mode: ResizeMode) -> None:
    preprocess = compile_spec(replace(SPEC, size=(96, 128), resize=mode, shorter_edge=100))
    generator = np.random.default_rng(0)
    sizes = generator.integers(20, 200, (8, 2))
    sources = [load_images(generator.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]
    alone = [preprocess(source).inputs.copy() for source in sources]

    def work(index: int) -> bool:
        for _ in range(60):
            with preprocess(sources[index]) as prepared:
                if not np.array_equal(prepared.inputs, alone[index]):
                    return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(8)))


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize(("dtype", "scale"), [("float32", 255), ("float16", 255), ("uint8", None)])
@pytest.mark.parametrize("as_float", [False, True])
def test_a_network_of_one_channel_gets_the_luma(layout, dtype, scale, as_float):
    spec = replace(SPEC, size=BGR.shape[:2], channels=1, layout=layout, scaling_factor=scale)
    images = load_images(BGR.astype(np.float32), input_range="0-255") if as_float else load_images(BGR)
    out = compile_spec(spec, dtype=dtype)(images).batches[0][0]
    luma = BGR.astype(np.float64) @ [0.114, 0.587, 0.299]
    assert out.shape == ((1, *luma.shape) if layout == "nchw" else (*luma.shape, 1))
    assert np.abs(out.astype(np.float64).reshape(luma.shape) * (scale or 1) - luma).max() < 1.01
