"""What counts as an image, and what is said about what does not."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

from inference_models.errors import InvalidParameterError, ModelInputError
from inference_models.preprocess.inputs import list_images, load_images
from optional import torch

RGB = skimage.data.astronaut()[:120, :200]
BGR = np.ascontiguousarray(RGB[..., ::-1])
EXPECTED = np.ascontiguousarray(BGR).astype(int)


def as_bgr(source: object) -> np.ndarray:
    return source.pixels if source.color == "bgr" else source.pixels[..., ::-1]


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def chw(array: np.ndarray) -> object:
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(BGR, id="array"),
        pytest.param(RGB[..., ::-1], id="swapped view"),
        pytest.param(np.asfortranarray(BGR), id="Fortran order"),
        pytest.param(np.ascontiguousarray(BGR[:, ::-1])[:, ::-1], id="mirrored view"),
        pytest.param(np.ascontiguousarray(BGR[::-1])[::-1], id="flipped view"),
        pytest.param(np.ascontiguousarray(BGR.transpose(2, 0, 1)).transpose(1, 2, 0), id="planar view"),
        pytest.param(np.pad(BGR, ((5, 5), (7, 9), (0, 0)))[5:-5, 7:-9], id="cut-out"),
        pytest.param(np.dstack([BGR, BGR[..., :1]]), id="alpha"),
        pytest.param(chw(RGB), id="tensor"),
        pytest.param(torch.from_numpy(RGB.copy()), id="tensor, channels last"),
        pytest.param(chw(np.dstack([RGB, RGB[..., :1]])), id="tensor with alpha"),
        pytest.param(Image.fromarray(RGB), id="PIL"),
        pytest.param(png(Image.fromarray(RGB)), id="bytes"),
        pytest.param(bytearray(png(Image.fromarray(RGB))), id="bytearray"),
        pytest.param(memoryview(png(Image.fromarray(RGB))), id="memoryview"),
    ],
)
def test_every_kind_of_image_gives_the_same_pixels(image: object) -> None:
    (source,) = load_images(image)
    assert source.pixels.dtype == np.uint8
    assert source.size == (120, 200)
    np.testing.assert_array_equal(as_bgr(source), EXPECTED)


def test_read_only_pixels_are_taken_and_left_alone() -> None:
    image = BGR.copy()
    image.flags.writeable = False
    assert np.shares_memory(load_images(image)[0].pixels, image)


@pytest.mark.parametrize("image", [BGR, BGR[10:50, 20:90], RGB[..., ::-1]], ids=["whole", "cut-out", "swapped"])
def test_ordinary_arrays_are_not_copied(image: np.ndarray) -> None:
    assert np.shares_memory(load_images(image)[0].pixels, image)


def test_grey_images_get_three_equal_channels() -> None:
    grey = RGB[..., 0]
    for image in (
        grey[..., None],
        torch.from_numpy(grey[None].copy()),
        Image.fromarray(grey),
        png(Image.fromarray(grey)),
    ):
        np.testing.assert_array_equal(load_images(image)[0].pixels, np.dstack([grey] * 3))


def test_a_colour_format_holds_for_arrays_and_tensors_only(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(Image.fromarray(RGB)))
    sources = load_images([RGB, chw(RGB), path, str(path), Image.fromarray(RGB)], input_color_format="rgb")
    for source in sources:
        np.testing.assert_array_equal(as_bgr(source), EXPECTED)
    assert load_images(chw(RGB), input_color_format="bgr")[0].color == "bgr"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", ">f8"])
def test_floats_of_a_stated_range_become_float32_up_to_255(dtype: object) -> None:
    # Half precision resolves 1/8 near 255 and 1/2048 near 1.
    tolerance = 0.07 if dtype is np.float16 else 1e-4
    for image, stated in ((BGR.astype(dtype), "0-255"), ((BGR / 255).astype(dtype), "0-1")):
        source = load_images(image, input_range=stated)[0]
        assert source.pixels.dtype == np.dtype(np.float32)
        np.testing.assert_allclose(source.pixels, BGR, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_float_tensors_may_need_a_gradient(dtype: object) -> None:
    tensor = (chw(RGB).to(torch.float32) / 255).to(dtype).requires_grad_()
    source = load_images(tensor, input_range="0-1")[0]
    # bfloat16 has 8 significant bits.
    np.testing.assert_allclose(source.pixels, RGB, atol=0.6 if dtype is torch.bfloat16 else 0.07)


def test_batches_are_as_many_images() -> None:
    batch = np.stack([BGR, BGR[::-1]])
    tensors = torch.from_numpy(np.ascontiguousarray(batch[..., ::-1].transpose(0, 3, 1, 2)))
    last = torch.from_numpy(np.ascontiguousarray(batch[..., ::-1]))
    for images in (batch, tensors, last, list(batch), tuple(batch)):
        sources = load_images(images)
        assert len(sources) == 2
        np.testing.assert_array_equal(as_bgr(sources[1]), EXPECTED[::-1])


def test_a_list_is_read_in_parts_and_errors_count_through(tmp_path: Path) -> None:
    listed = list_images([BGR, BGR, tmp_path / "missing.png", BGR])
    assert len(listed) == 4
    assert len(listed.load(0, 2)) == 2
    assert len(listed.load(3, 8)) == 1
    with pytest.raises(ModelInputError) as caught:
        listed.load(2, 4)
    assert caught.value.index == 2
    assert str(caught.value) == (f"image 3 of 4 ('{tmp_path}/missing.png'): there is no such file.\ncheck the path")


def refusal(images: object, **options: str) -> str:
    with pytest.raises(ModelInputError) as caught:
        load_images(images, **options)
    return str(caught.value)


KINDS = "needs a NumPy array, torch tensor, PIL image, path, or the bytes of an image file; found: "
DTYPE = "image: dtype {}; expected uint8, or floats together with input_range=.\nconvert it: {}"
RANGE = (
    "image: the pixels are {} and their range is not stated.\nneeds input_range='0-1' or input_range='0-255'; found: "
)
EMPTY = "there is no image to run on.\nneeds at least one image; found: {}\nskip the call when there is nothing to do"
URL = (
    "image: a URL ({}:...) is not an image; images are never fetched.\n"
    "fetch it yourself, then pass its bytes or the path of the file"
)


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (BGR[..., 0], "image: shape (120, 200); expected (H, W, 3).\nadd the channel axis: image[..., None]"),
        (
            BGR.transpose(2, 0, 1),
            "image: shape (3, 120, 200); expected (H, W, 3).\nmove the channels to the end: image.transpose(1, 2, 0)",
        ),
        (
            np.zeros((5, 6, 2), np.uint8),
            (
                "image: shape (5, 6, 2); expected (H, W, 3).\n"
                "images have 3 channels, or 1 (grey), or 4 (the last is dropped)"
            ),
        ),
        (np.zeros((0, 6, 3), np.uint8), "image: shape (0, 6, 3) holds no pixels.\nleave empty images out"),
        (
            [BGR, BGR[None]],
            "image 2 of 2: shape (1, 120, 200, 3); expected (H, W, 3).\npass a batch by itself, or as list(batch)",
        ),
        (
            [BGR, BGR, BGR[..., 0].copy()] + [BGR] * 5,
            "image 3 of 8: shape (120, 200); expected (H, W, 3).\nadd the channel axis: image[..., None]",
        ),
        (
            torch.zeros(5, 6),
            "image: shape (5, 6); expected (3, H, W) or (H, W, 3).\nadd the channel axis: image[None]",
        ),
        (
            [torch.zeros(1, 3, 5, 6)],
            (
                "image 1 of 1: shape (1, 3, 5, 6); expected (3, H, W) or (H, W, 3).\n"
                "pass a batch by itself, or as list(batch)"
            ),
        ),
        (
            BGR.astype(np.uint16),
            DTYPE.format("uint16", "(image // 257).astype('uint8') when its values go up to 65535"),
        ),
        (BGR > 3, DTYPE.format("bool", "image.astype('uint8') * 255")),
        (BGR.astype(np.int32), DTYPE.format("int32", "image.clip(0, 255).astype('uint8')")),
        (BGR.astype(object), DTYPE.format("object", "np.stack of images that have one size")),
        (BGR.astype(complex), DTYPE.format("complex128", "to uint8, 0 to 255")),
        (
            np.full((2, 2, 3), 0.5),
            RANGE.format("float64") + "values from 0.5 to 0.5\npass input_range='0-1', or uint8 pixels",
        ),
        (
            Image.fromarray(np.full((2, 2), 99, np.float32)),
            RANGE.format("float32") + "values from 99 to 99\npass input_range='0-255', or uint8 pixels",
        ),
        ([], EMPTY.format("an empty list")),
        (np.zeros((0, 5, 6, 3), np.uint8), EMPTY.format("a batch of shape (0, 5, 6, 3)")),
        (
            [BGR, None],
            (
                f"image 2 of 2: None is not an image.\n{KINDS}None\n"
                "cv2.imread returns None for a file that it cannot read: pass the path itself"
            ),
        ),
        (
            [[1, 2]],
            (
                f"image 1 of 1: a list is not an image.\n{KINDS}a list\n"
                "pass a flat list of images; numbers belong in a NumPy array"
            ),
        ),
        (
            iter([BGR]),
            f"image: a list_iterator is not an image.\n{KINDS}a list_iterator\nmake a list of it first: list(images)",
        ),
        (3, f"image: an int is not an image.\n{KINDS}an int\nconvert it with np.asarray(...)"),
        ("https://user:secret@host/a.jpg?key=1", URL.format("https")),
        ("data:image/png;base64,AAAA", URL.format("data")),
        (
            Image.fromarray(np.full((2, 2), 70000, np.int32)),
            (
                "image: the image of mode I holds values that are not 16-bit grey.\n"
                "needs values from 0 to 65535; found: values from 70000 to 70000\n"
                "scale it to 8 bits: image.point(...).convert('L')"
            ),
        ),
    ],
)
def test_the_text_of_a_refusal_says_what_to_do(image: object, text: str) -> None:
    assert refusal(image) == text


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    image = np.full((2, 2, 3), 0.5, np.float32)
    image[0, 0, 0] = bad
    assert refusal(image, input_range="0-1") == (
        "image: the pixels hold NaN or infinite values.\n"
        "needs finite values; found: 1 of 12 values are not\n"
        "repair the image: np.nan_to_num(image)"
    )


def test_values_outside_the_stated_range_are_refused() -> None:
    image = np.array([[[-2.5, 0, 2]]])
    assert refusal(image, input_range="0-1") == (
        "image: the pixels do not fit input_range='0-1'.\n"
        "needs values from 0 to 1; found: values from -2.5 to 2\n"
        "undo the normalisation: images are normalised by the model"
    )
    assert "needs values from 0 to 255; found: values from -2.5 to 2" in refusal(image, input_range="0-255")
    assert len(load_images(np.full((1, 1, 3), 1.000001), input_range="0-1")) == 1


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [("input_color_format", "RGB", "'rgb' or 'bgr'"), ("input_range", "0..1", "'0-1' or '0-255'")],
)
def test_options_with_unknown_values_are_refused(option: str, value: str, allowed: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        load_images(BGR, **{option: value})
    assert str(caught.value) == (
        f"{option}={value!r} makes no sense.\nneeds {allowed}; found: {value!r}\n"
        f"pass one of them, or leave {option} out"
    )


def test_arrays_are_read_without_importing_pillow_or_torch() -> None:
    source = Path(__file__).resolve().parents[2] / "src"
    program = (
        f"import sys; sys.path.insert(0, {str(source)!r}); import numpy as np\n"
        "from inference_models.preprocess.inputs import load_images\n"
        "load_images(np.zeros((2, 2, 3), np.uint8))\n"
        "print({'PIL', 'torch', 'skimage', 'onnxruntime'} & set(sys.modules))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout == "set()\n"


def test_a_tensor_that_could_be_read_both_ways_has_its_channels_first() -> None:
    tensor = torch.arange(3 * 7 * 3, dtype=torch.uint8).reshape(3, 7, 3)
    (source,) = load_images(tensor)
    assert np.array_equal(source.pixels, tensor.permute(1, 2, 0).numpy())


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_view_that_repeats_its_memory_without_end_is_refused(dtype: type) -> None:
    view = np.broadcast_to(np.zeros(1, dtype), (50_000, 50_000, 3))
    with pytest.raises(ModelInputError) as caught:
        load_images(view, input_range="0-1")
    assert str(caught.value) == (
        f"image: shape (50000, 50000, 3) is a view that repeats {view.itemsize} bytes.\n"
        "needs at most 178956970 pixels; found: 2500000000\npass the array it was made of"
    )
    grey = np.broadcast_to(np.arange(6, dtype=np.uint8).reshape(2, 3, 1), (2, 3, 3))
    np.testing.assert_array_equal(load_images(grey)[0].pixels, grey)


def tensors_without_pixels() -> dict[str, tuple[Any, str]]:
    plain = torch.zeros(3, 4, 5)
    return {
        "meta": (plain.to("meta"), "a meta tensor, which holds no values\npass a tensor on a real device"),
        "sparse": (plain.to_sparse(), "a sparse_coo tensor\nconvert it: image.to_dense()"),
        "nested": (
            torch.nested.nested_tensor([plain, plain]),
            "a nested tensor\npass its parts: list(images.unbind())",
        ),
        "quantized": (
            torch.quantize_per_tensor(plain, 0.1, 0, torch.quint8),
            "a quantized tensor\nconvert it: image.int_repr(), or image.dequantize() with input_range=",
        ),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["meta", "sparse", "nested", "quantized"])
def test_a_tensor_without_pixels_is_refused_alone_and_in_a_list(kind: str) -> None:
    tensor, found = tensors_without_pixels()[kind]
    for images in (tensor, [tensor]):
        with pytest.raises(ModelInputError) as caught:
            load_images(images)
        lines = str(caught.value).split("\n", 1)
        assert lines[0].endswith(": not a tensor of pixels.")
        assert lines[1] == f"needs a dense tensor; found: {found}"


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "complex64"])
def test_a_tensor_of_numbers_that_are_no_pixels_is_refused(dtype: str) -> None:
    with pytest.raises(ModelInputError, match=dtype):
        load_images(torch.zeros(3, 4, 5).to(getattr(torch, dtype)), input_range="0-1")


def test_an_open_file_is_refused_with_what_to_pass(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with (
        (tmp_path / "a.png").open("rb") as stream,
        pytest.raises(ModelInputError, match=r"pass its content: file.read"),
    ):
        load_images(stream)


class Video:
    """Has the methods of `cv2.VideoCapture` that tell it from a picture."""

    def grab(self): ...

    def read(self): ...


@pytest.mark.parametrize(
    ("thing", "fix"),
    [
        (Video(), "read a frame of it first: found, frame = video.read(); then model(frame)"),
        ({"image": 1, "label": 2}, "pass the image in it: images['image']"),
        ((number for number in range(3)), "make a list of it first: list(images)"),
        ("clips/walk.MP4", "read its frames with cv2.VideoCapture(path) and pass each: found, frame = video.read()"),
    ],
)
def test_what_holds_pictures_is_told_how_to_get_one(thing, fix):
    with pytest.raises(ModelInputError) as caught:
        load_images(thing)
    assert caught.value.fix == fix
