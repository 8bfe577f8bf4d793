"""Files and bytes to arrays, against Pillow 13."""

from __future__ import annotations

import io
import os
import struct
import threading
import time
import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps

from inference_models.errors import ModelInputError
from inference_models.preprocess import decode
from inference_models.preprocess.decode import decode_image, read_image

if TYPE_CHECKING:
    from pathlib import Path

PHOTO = Image.fromarray(skimage.data.astronaut()[:200, :300])
RESAVE = "open it in an image viewer, save it as PNG or JPEG, and pass the new file"


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def as_bgr(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))[..., ::-1].astype(int)


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_file_is_turned_as_its_orientation_says(kind: str, orientation: int) -> None:
    data = encoded(PHOTO, kind, exif=turned(orientation))
    if kind == "AVIF" and cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is None:
        pytest.skip("this OpenCV was built without AVIF")
    upright = as_bgr(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))

    pixels = decode_image(data, name="photo")

    assert pixels.shape == upright.shape
    # Lossy decoders of Pillow and OpenCV differ by chroma up-sampling; a wrong turn is above 40.
    assert np.abs(pixels - upright).mean() < 1.5


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *[("PNG", mode) for mode in ("1", "L", "LA", "P", "RGBA", "RGB")],
        *[("TIFF", mode) for mode in ("1", "L", "P", "RGBA", "RGB")],
        *[("BMP", mode) for mode in ("1", "L", "P", "RGB")],
        *[("PPM", mode) for mode in ("1", "L", "RGB")],
        ("GIF", "P"),
        ("GIF", "L"),
    ],
)
def test_every_mode_of_a_lossless_format_becomes_the_same_pixels_as_in_pillow(kind: str, mode: str) -> None:
    data = encoded(PHOTO.convert(mode), kind)
    if kind == "GIF" and cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is None:
        pytest.skip("this OpenCV reads no GIF; 4.11 and later do")
    pixels = decode_image(data, name="photo")
    assert (pixels.dtype, pixels.shape) == (np.uint8, (200, 300, 3))
    np.testing.assert_array_equal(pixels, as_bgr(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize(
    ("kind", "options"), [("WEBP", {"lossless": True}), ("JPEG2000", {}), ("TIFF", {"compression": "tiff_lzw"})]
)
def test_lossless_compression_gives_the_original_pixels(kind: str, options: dict[str, object]) -> None:
    np.testing.assert_array_equal(decode_image(encoded(PHOTO, kind, **options), name="photo"), as_bgr(PHOTO))


def test_a_cmyk_jpeg_becomes_colour() -> None:
    data = encoded(PHOTO.convert("CMYK"), "JPEG", quality=95)
    pixels = decode_image(data, name="photo")
    assert np.abs(pixels - as_bgr(Image.open(io.BytesIO(data)))).mean() < 2  # both multiply inks, rounding differs


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".ppm"])
def test_sixteen_bits_become_the_upper_eight(suffix: str) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    pixels = decode_image(cv2.imencode(suffix, deep)[1].tobytes(), name="photo")
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - (deep >> 8)).max() <= 1  # libtiff divides by 257, the others shift


def test_an_alpha_channel_is_dropped_and_not_blended() -> None:
    image = PHOTO.copy()
    image.putalpha(0)
    np.testing.assert_array_equal(decode_image(encoded(image, "PNG"), name="photo"), as_bgr(PHOTO))


@pytest.mark.parametrize("progressive", [False, True])
def test_bytes_after_the_end_and_a_thumbnail_do_not_matter(progressive: bool) -> None:
    plain = encoded(PHOTO, "JPEG", progressive=progressive)
    thumbnail = encoded(PHOTO.resize((60, 40)), "JPEG")
    segment = b"\xff\xe2" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = plain[:2] + segment + plain[2:]
    np.testing.assert_array_equal(decode_image(data + b"tail" * 9, name="x"), decode_image(plain, name="x"))
    assert refusal(data[: len(segment) + 4000]).startswith("photo: the JPEG file is damaged or cut short.")


def refusal(data: bytes) -> str:
    with pytest.raises(ModelInputError) as caught:
        decode_image(data, name="photo")
    return str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.98])
def test_a_file_that_was_cut_short_is_refused_silently_and_at_once(
    kind: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = encoded(PHOTO, kind)
    began = time.perf_counter()
    text = refusal(data[: int(len(data) * share)])
    assert time.perf_counter() - began < 1
    assert text.startswith("photo: the ")
    assert capfd.readouterr() == ("", "")


def test_a_png_with_one_changed_byte_is_refused() -> None:
    data = bytearray(encoded(PHOTO, "PNG"))
    data[len(data) // 2] ^= 1
    assert refusal(bytes(data)) == (
        "photo: the PNG file is damaged or cut short.\n"
        f"needs the whole file; found: {len(data)} bytes without a valid end\n"
        "copy or download the file again"
    )


def test_no_bytes_are_refused() -> None:
    assert refusal(b"") == f"photo: there are no bytes in it.\nneeds an image file; found: 0 bytes\n{RESAVE}"


def test_bytes_of_something_else_are_refused() -> None:
    assert refusal(b"<!DOCTYPE html>") == (
        "photo: not an image file.\n"
        "needs JPEG, PNG, WebP, TIFF, BMP, GIF, PNM, JPEG 2000 or AVIF; found: 15 bytes that start with b'<!DOCTYP'\n"
        + RESAVE
    )


def png_of(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_absurd_sizes_are_refused_before_anything_is_decoded() -> None:
    assert refusal(png_of(100_000, 50_000)) == (
        "photo: the PNG file says it is 100000 x 50000 pixels.\n"
        "needs 1 to 178956970 pixels; found: 5000000000\n"
        "scale the image down, or cut it into tiles, before it is passed"
    )
    assert refusal(png_of(0, 10)).startswith("photo: the PNG file says it is 0 x 10 pixels.\n")


def test_a_whole_file_that_opencv_cannot_read_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    data = encoded(PHOTO.convert("F"), "TIFF")
    assert refusal(data) == (
        "photo: the TIFF file cannot be decoded.\n"
        "needs an undamaged TIFF file with 8 or 16 bits per channel; "
        f"found: {len(data)} bytes that OpenCV {cv2.__version__} cannot read\n" + RESAVE
    )
    assert capfd.readouterr() == ("", "")


def test_random_damage_gives_an_image_or_our_error() -> None:
    generator = np.random.default_rng(1)
    for kind in ("PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000"):
        whole = encoded(PHOTO.resize((40, 30)), kind)
        for _ in range(30):
            data = bytearray(whole)
            for position in generator.integers(0, min(len(data), 200), 3):
                data[position] = generator.integers(0, 256)
            try:
                assert decode_image(bytes(data), name="photo").shape[2] == 3
            except ModelInputError:
                continue


def test_the_log_level_of_opencv_is_the_same_afterwards() -> None:
    control = getattr(cv2.utils, "logging", cv2)
    before = control.getLogLevel()
    bad = encoded(PHOTO, "TIFF")[:5000]
    threads = [threading.Thread(target=lambda: [refusal(bad) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert control.getLogLevel() == before


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "bild ä.png"
    path.write_bytes(encoded(PHOTO, "PNG"))
    np.testing.assert_array_equal(read_image(path), as_bgr(PHOTO))
    np.testing.assert_array_equal(read_image(str(path)), as_bgr(PHOTO))


def file_refusal(path: object) -> str:
    with pytest.raises(ModelInputError) as caught:
        read_image(path)
    return str(caught.value)


def test_paths_that_cannot_be_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert file_refusal("no.jpg") == (
        f"'no.jpg': there is no such file.\ncheck the path; it was looked up in {tmp_path}"
    )
    assert file_refusal(tmp_path / "no.jpg") == f"'{tmp_path}/no.jpg': there is no such file.\ncheck the path"
    assert file_refusal(tmp_path) == f"'{tmp_path}': a folder, not a file.\npass a list of the paths of its files"
    assert file_refusal("a\0b") == (
        "'a\\x00b': the file cannot be read: its name holds a null character.\ncheck the path and its permissions"
    )
    assert "File name too long" in file_refusal("a" * 5000)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_huge_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert file_refusal(pipe) == (
        f"'{pipe}': this is not read as an image.\n"
        "needs a regular file of at most 1073741824 bytes; found: a device, pipe or socket\n"
        "decode it yourself and pass the pixels as a NumPy array"
    )
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"1234")
    monkeypatch.setattr(decode, "MAX_FILE_BYTES", 3)
    assert "needs a regular file of at most 3 bytes; found: 4 bytes" in file_refusal(photo)
