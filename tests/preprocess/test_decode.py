"""One picture, one answer: its path, its bytes and the file opened by the caller give what Pillow shows."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps, PngImagePlugin, features

import large_pictures
from inference_models.errors import ModelInputError
from inference_models.preprocess import bounds, decode
from inference_models.preprocess.inputs import load_images

PHOTO = Image.fromarray(skimage.data.astronaut()[:40, :60])
DEEP = np.random.default_rng(0).integers(0, 65536, (40, 60), dtype=np.uint16)
RESAVE = "copy or download the file again, or save it as PNG or JPEG in an image viewer"


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def exif(orientation: object, *, order: str = "<", kind: tuple[int, str] = (3, "H")) -> bytes:
    """An EXIF block with the orientation in any integer type and byte order."""
    number, code = kind
    value = struct.pack(order + code, orientation).ljust(4, b"\0")
    block = struct.pack(order + "HIHHHI", 42, 8, 1, 0x0112, number, 1) + value + bytes(4)
    return (b"II" if order == "<" else b"MM") + block


def xmp(orientation: int) -> bytes:
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="%d"/></x:xmpmeta>' % orientation


def with_png_chunk(kind: bytes, content: bytes, *, data: bytes | None = None) -> bytes:
    data = encoded(PHOTO, "PNG") if data is None else data
    return data[:33] + png_chunk(kind, content) + data[33:]


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def pnm(kind: str, top: int) -> bytes:
    values = np.random.default_rng(1).integers(0, top + 1, (40, 60, 3 if kind in ("P3", "P6") else 1))
    if kind in ("P2", "P3"):
        body = " ".join(map(str, values.reshape(-1))).encode()
    else:
        body = values.astype(">u2" if top > 255 else np.uint8).tobytes()
    return f"{kind}\n# comment\n60 40\n{top}\n".encode() + body


def tiff(strip: bytes, *, bits: int = 8, **tags: int) -> bytes:
    """A TIFF file of 60 x 40 pixels in one strip that is not compressed, unless `tags` (t258, ...) say else."""
    start = 8 + 2 + 12 * 9 + 12 * len([tag for tag in tags if tag not in ("t259", "t262", "t277")]) + 4
    stated = {256: 60, 257: 40, 258: bits, 259: 1, 262: 2, 273: start, 277: 3, 278: 40, 279: len(strip)}
    stated |= {int(tag[1:]): value for tag, value in tags.items()}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(stated.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(stated)) + entries + bytes(4) + strip


def png_text(key: str, text: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt(key, text)
    return encoded(PHOTO, "PNG", pnginfo=info)


def frames(kind: str, **options: object) -> bytes:
    return encoded(PHOTO, kind, save_all=True, append_images=[PHOTO.rotate(180), PHOTO.rotate(90)], **options)


def translucent(mode: str = "RGBA") -> Image.Image:
    image = PHOTO.copy()
    image.putalpha(Image.fromarray((DEEP >> 8).astype(np.uint8)))
    return image.convert(mode)


MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "RGBX", "CMYK", "LAB", "I;16", "I;16B"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "AVIF": ("RGB", "RGBA"),
    "JPEG2000": ("L", "LA", "RGB", "RGBA", "I;16"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "GIF": ("L", "P"),
    "PPM": ("1", "L", "RGB"),
    "TGA": ("L", "LA", "P", "RGB", "RGBA"),
    "ICO": ("RGB", "RGBA"),
    "PCX": ("1", "L", "P", "RGB"),
    "SGI": ("L", "RGB", "RGBA"),
    "DDS": ("L", "RGB", "RGBA"),
    "QOI": ("RGB", "RGBA"),
}
FILES = {
    **{f"{kind} {mode}": (kind, mode) for kind, modes in MODES.items() for mode in modes},
    **{f"{kind} {top}": pnm(kind, top) for kind in ("P2", "P3", "P5", "P6") for top in (1, 100, 255, 1023, 65535)},
    "JPEG, progressive": encoded(PHOTO, "JPEG", progressive=True),
    "JPEG, 4:4:4": encoded(PHOTO, "JPEG", subsampling=0),
    "JPEG, two EXIF blocks": encoded(PHOTO, "JPEG", exif=exif(6)).replace(
        b"\xff\xdb", b"\xff\xe1" + struct.pack(">H", len(exif(3)) + 8) + b"Exif\0\0" + exif(3) + b"\xff\xdb", 1
    ),
    "JPEG, bytes after the end": encoded(PHOTO, "JPEG") + b"tail" * 9,
    "JPEG, damaged EXIF": encoded(PHOTO, "JPEG", exif=b"II*\0\xff"),
    "MPO": frames("MPO"),
    "GIF, animated": frames("GIF"),
    "WebP, animated": frames("WEBP", lossless=True),
    "PNG, animated": frames("PNG"),
    "TIFF, pages": frames("TIFF"),
    "AVIF, animated": frames("AVIF"),
    "PNG, interlaced palette with alpha": encoded(translucent().quantize(method=2), "PNG"),
    "PNG, palette with one transparent colour": encoded(PHOTO.convert("P"), "PNG", transparency=3),
    "PNG, grey with one transparent level": encoded(PHOTO.convert("L"), "PNG", transparency=90),
    "PNG, colour with a transparent one": encoded(PHOTO, "PNG", transparency=(9, 9, 9)),
    "PNG, XMP": png_text("XML:com.adobe.xmp", xmp(8).decode()),
    "PNG, raw profile": png_text("Raw profile type exif", f"\nexif\n{len(exif(5)):8}\n{exif(5).hex()}\n"),
    "PNG, EXIF behind the pixels": encoded(PHOTO, "PNG")[:-12] + png_chunk(b"eXIf", exif(7)) + png_chunk(b"IEND", b""),
    "JPEG, XMP": encoded(PHOTO, "JPEG", xmp=xmp(6)),
    "WebP, XMP": encoded(PHOTO, "WEBP", lossless=True, xmp=xmp(3)),
    "TIFF, 16-bit colours": tiff(np.dstack([DEEP] * 3).tobytes(), bits=16),
    **{f"TIFF, {how}": encoded(PHOTO, "TIFF", compression=how) for how in ("tiff_lzw", "tiff_deflate", "jpeg")},
    "TIFF, tiles": encoded(PHOTO, "TIFF", tiffinfo={322: 16, 323: 16}, compression="tiff_deflate"),
    "TIFF, associated alpha": tiff(translucent("RGBa").tobytes(), t277=4, t338=1),
    "TIFF, unassociated alpha": tiff(translucent().tobytes(), t277=4, t338=2),
}


def as_rgb(source: object) -> np.ndarray:
    return np.asarray(source.pixels if source.color == "rgb" else source.pixels[..., ::-1])


def shown_by_pillow(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    image.load()
    try:
        image = ImageOps.exif_transpose(image)
    except (SyntaxError, UserWarning):
        assert b"Exif\0\0II*\0\xff" in data
    if image.mode[0] == "I":
        return np.dstack([np.asarray(image) >> 8] * 3).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Palette images with Transparency")
        return np.asarray(image.convert("RGB"))


def hold_one_answer(data: bytes, folder: Path) -> None:
    path = folder / "picture"
    path.write_bytes(data)
    expected = shown_by_pillow(data)
    with Image.open(path) as opened:
        for image in (path, str(path), data, bytearray(data), memoryview(data), opened):
            np.testing.assert_array_equal(as_rgb(load_images(image)[0]), expected)


@pytest.mark.parametrize("name", FILES)
def test_a_path_bytes_and_a_pil_image_are_what_pillow_shows(name: str, tmp_path: Path) -> None:
    content = FILES[name]
    if "AVIF" in name and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    if not isinstance(content, bytes):
        kind, mode = content
        image = Image.fromarray(DEEP).convert(mode) if mode.startswith("I") else PHOTO.convert("RGB").convert(mode)
        content = encoded(image, kind)
    hold_one_answer(content, tmp_path)


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "TIFF L", "TIFF CMYK", "AVIF"])
def test_every_orientation_is_applied_once(kind: str, orientation: int, tmp_path: Path) -> None:
    kind, _, mode = kind.partition(" ")
    hold_one_answer(encoded(PHOTO.convert(mode or "RGB"), kind, exif=exif(orientation)), tmp_path)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [(1, "B"), (3, "H"), (4, "I"), (6, "b"), (8, "h"), (9, "i"), (16, "Q")])
def test_the_type_of_the_orientation_does_not_matter(kind: tuple[int, str], order: str, tmp_path: Path) -> None:
    block = exif(6, order=order, kind=kind)
    hold_one_answer(with_png_chunk(b"eXIf", block), tmp_path)
    assert kind[0] in (1, 16) or load_images(with_png_chunk(b"eXIf", block))[0].size == (60, 40)


def test_alpha_is_dropped_and_not_blended() -> None:
    image = PHOTO.copy()
    image.putalpha(0)
    np.testing.assert_array_equal(as_rgb(load_images(encoded(image, "PNG"))[0]), np.asarray(PHOTO))


def test_float_files_need_their_range() -> None:
    data = encoded(Image.fromarray((DEEP / 65535).astype(np.float32)), "TIFF")
    assert "their range is not stated" in refusal(data)
    (source,) = load_images(data, input_range="0-1")
    np.testing.assert_allclose(source.pixels[..., 1], DEEP / 257, atol=1e-3)


def test_files_are_decoded_in_many_threads_at_once() -> None:
    data = [content for content in FILES.values() if isinstance(content, bytes)][:40]
    alone = [load_images(content)[0].pixels for content in data]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda content: load_images(content)[0].pixels, data * 4))
    for index, pixels in enumerate(together):
        np.testing.assert_array_equal(pixels, alone[index % len(data)])


def test_the_limits_of_the_process_stay_as_they_are() -> None:
    before = (Image.MAX_IMAGE_PIXELS, list(warnings.filters))
    load_images(encoded(PHOTO, "JPEG"))
    refusal(png_of(100_000, 50_000))
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


def refusal(image: object) -> str:
    with pytest.raises(ModelInputError) as caught:
        load_images(image)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF", "TGA", "QOI"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.98])
def test_a_file_that_was_cut_short_is_refused(kind: str, share: float) -> None:
    data = encoded(PHOTO.resize((300, 200)), kind)
    text = refusal(data[: int(len(data) * share)])
    assert text.startswith("image: the image is damaged or cut short.\nneeds a whole, undamaged image file; found: ")
    assert "Error" not in text


def test_a_damaged_file_is_refused_with_what_it_says_it_is() -> None:
    data = bytearray(encoded(PHOTO, "PNG"))
    data[len(data) // 2] ^= 1
    damaged = Image.open(io.BytesIO(data))
    assert (
        refusal(bytes(data))
        == refusal(damaged)
        == (
            "image: the image is damaged or cut short.\nneeds a whole, undamaged image file; "
            f"found: PNG image of 60 x 40 pixels, mode RGB\n{RESAVE}"
        )
    )
    assert "found: 20 bytes that start with b'\\x89PNG" in refusal(bytes(data[:20]))


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_bytes_of_something_else_are_refused(content: bytes) -> None:
    found = f"{len(content)} bytes that start with {content[:8]!r}" if content else "0 bytes"
    assert refusal(content) == (
        "image: not an image file.\n"
        "needs JPEG, PNG, WebP, TIFF, BMP, GIF, PNM, JPEG 2000, AVIF or another format that Pillow opens; "
        f"found: {found}\n{RESAVE}"
    )


def png_of(width: int, height: int) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(b"")) + png_chunk(b"IEND", b"")


def resized(data: bytes, width: int, height: int) -> bytes:
    """A file of 60 x 40 pixels that says it has others."""
    size = data.replace(struct.pack(">II", 60, 40), struct.pack(">II", width, height))
    return size.replace(struct.pack(">II", 40, 60), struct.pack(">II", height, width))


BOMBS = {
    "PNG": (png_of(100_000, 50_000), "100000 x 50000", None, 5_000_000_000),
    "QOI": (b"qoif" + struct.pack(">IIBB", 2000, 1000, 3, 0), "2000 x 1000", 1 << 20, 2_000_000),
    "PPM": (b"P3 2000 1000 255\n" + b" " * 99, "2000 x 1000", 1 << 20, 2_000_000),
    "TIFF": (tiff(b"", t322=20_000, t323=20_000, t324=0, t325=0), "60 x 40", None, 400_000_000),
    "GIF": (encoded(Image.new("P", (9000, 5000)), "GIF"), "9000 x 5000", None, 45_000_000),
    "JPEG2000": (resized(encoded(PHOTO, "JPEG2000"), 13_000, 13_000), "13000 x 13000", None, 169_000_000),
    "WEBP": (encoded(Image.new("RGB", (9000, 2000)), "WEBP", lossless=True), "9000 x 2000", None, 18_000_000),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_more_pixels_than_a_file_of_that_size_has_are_refused_before_anything_is_decoded(kind: str) -> None:
    data, size, limit, pixels = BOMBS[kind]
    small = {"JPEG2000": 1 << 23, "WEBP": 1 << 24}.get(kind, 1 << 25)
    assert refusal(data) == (
        f"image: the {kind} file of {len(data)} bytes says it is {size} pixels.\n"
        f"needs at most {limit or small + 8 * len(data)} pixels; found: {pixels}\n"
        "scale the image down, or cut it into tiles, before it is passed"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")
def test_a_picture_takes_three_times_its_file_and_its_pixels_and_256_mb_at_most() -> None:
    command = [sys.executable, large_pictures.__file__]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", bounds._MOST_PIXELS)
def test_formats_that_take_more_memory_have_fewer_pixels_whatever_the_file(kind: str) -> None:
    image = SimpleNamespace(format=kind, mode="RGB", tile=())
    assert bounds.pixel_limit(image, 1 << 30) == bounds._MOST_PIXELS[kind] < bounds.config.MAX_PIXELS


def test_a_program_may_allow_fewer_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERENCE_MODELS_MAX_PIXELS", "2399")
    assert "says it is 60 x 40 pixels.\nneeds at most 2399 pixels; found: 2400" in refusal(encoded(PHOTO, "JPEG"))
    monkeypatch.setenv("INFERENCE_MODELS_MAX_PIXELS", "2400")
    assert load_images(encoded(PHOTO, "JPEG"))[0].size == (40, 60)


def tags(count: int, size: int, *, offset: int = 8) -> bytes:
    """A block of `count` tags that all have the same `size` bytes."""
    table = b"".join(struct.pack("<HHII", 1000 + number, 7, size, offset) for number in range(count))
    return b"II*\0" + struct.pack("<IH", 8, count) + table + bytes(size)


def segments(*contents: bytes, code: int = 0xE1) -> bytes:
    """A JPEG with further segments, and without the JFIF header that keeps Pillow from reading EXIF at once."""
    data = encoded(PHOTO, "JPEG").replace(b"JFIF", b"JFIX")
    parts = [b"\xff" + bytes([code]) + struct.pack(">H", len(content) + 2) + content for content in contents]
    return data[:2] + b"".join(parts) + data[2:]


LONG = tags(2000, 300_000)
SCAN = encoded(PHOTO, "JPEG", progressive=True)
BIG_TIFF = b"II+\0\x08\0\0\0"
COSTLY = {
    "PNM: spaces": (b"P5" + b" " * 400_000, "parts are read once"),
    "PNM: comments": (b"P2 9 9 255\n" + b"#\n" * 1001, "at most 1000 comments; found: 1001"),
    "JPEG: padding": (b"\xff\xd8" + b"\xff" * 200_000, "at most 100000 segments"),
    "JPEG: bytes of no segment": (b"\xff\xd8\xff\xe0\0\2" + bytes(400_000), "parts are read once"),
    "JPEG: EXIF of one segment": (segments(b"Exif\0\0" + tags(1500, 40_000)), "tags that share no bytes"),
    "JPEG: EXIF of many": (
        segments(*(b"Exif\0\0" + LONG[at : at + 60_000] for at in range(0, len(LONG), 60_000))),
        "tags that share no bytes; found: tags of 600",
    ),
    "JPEG: EXIF of megabytes": (segments(*[b"Exif\0\0" + bytes(65_000)] * 260), "at most 16777216 bytes of EXIF"),
    "JPEG: directory of pictures": (segments(b"MPF\0" + tags(1500, 40_000), code=0xE2), "tags that share no bytes"),
    "JPEG: scans": (
        SCAN[: SCAN.rfind(b"\xff\xda")].replace(struct.pack(">HH", 40, 60), struct.pack(">HH", 5000, 6000))
        + SCAN[SCAN.rfind(b"\xff\xda") : -2] * 200,
        "at most 143 scans of 30000000 pixels",
    ),
    "PNG: chunks": (encoded(PHOTO, "PNG")[:33] + png_chunk(b"aaAa", b"") * 150_000, "parts are read once"),
    "PNG: packed texts": (with_png_chunk(b"", b"") + b"zTXt" * 33, "at most 32 packed texts; found: 33"),
    "PNG: EXIF": (with_png_chunk(b"eXIf", LONG), "tags that share no bytes"),
    "PNG: raw profile": (
        with_png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 9\n" + LONG.hex().encode())),
        "tags that share no bytes",
    ),
    "WebP: EXIF": (encoded(PHOTO, "WEBP", exif=b"Exif\0\0" + LONG), "tags that share no bytes"),
    "TIFF: tags": (tags(4000, 300_000), "tags that share no bytes"),
    "TIFF: number of tags": (tags(5000, 8), "at most 4096 tags; found: 5000"),
    "TIFF: strips": (
        tiff(bytes(1 << 20), t273=0).replace(
            struct.pack("<HHII", 273, 4, 1, 0), struct.pack("<HHII", 273, 4, 1 << 20, 8)
        ),
        "values of tag 273",
    ),
    "BigTIFF: offset": (BIG_TIFF + b"\xff" * 8, "tags inside the file; found: tags at byte 18446744073709551615 of 16"),
    "BigTIFF: number of tags": (BIG_TIFF + struct.pack("<QQ", 16, 1 << 61), "at most 4096 tags"),
    "GIF: blocks": (encoded(PHOTO, "GIF")[:781] + b"!\xfe\x01a\0" * 100_000, "parts are read once"),
    "ICNS: blocks": (b"icns" + struct.pack(">I", 8 << 20) + b"it32\0\0\0\x08" * (1 << 20), "parts are read once"),
}


@pytest.mark.parametrize("kind", COSTLY)
def test_a_file_that_would_cost_far_more_than_its_size_is_refused(kind: str) -> None:
    data, needs = COSTLY[kind]
    text = refusal(data)
    assert text.startswith("image: reading the file would cost far more than a picture of its size.\nneeds ")
    assert needs in text
    assert load_images(encoded(PHOTO, "PNG"))[0].size == (40, 60)


def test_a_picture_whose_every_pixel_is_read_by_itself_is_no_costly_file() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8)
    assert (load_images(encoded(Image.fromarray(noise), "QOI"))[0].pixels == noise).all()


def test_an_icon_is_as_large_as_the_picture_in_it() -> None:
    inner = png_of(13_000, 13_000)
    icon = b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22) + inner
    assert "damaged or cut short" in refusal(icon) or "found: 169000000" in refusal(icon)


MEMORY = """
import sys, time
from inference_models.errors import ModelInputError
from inference_models.preprocess.inputs import load_images
from PIL import Image
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) >> 10
Image.init()
before = peak()
try:
    load_images(sys.argv[1])
except ModelInputError:
    pass
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux")
@pytest.mark.parametrize("kind", ["spaces", "pixels", "largest of small files", "EXIF"])
def test_a_hostile_file_takes_little_memory(kind: str, tmp_path: Path) -> None:
    data = {
        "spaces": b"P5" + b" " * (19 << 20),
        "pixels": encoded(Image.new("P", (13_000, 13_000)), "PNG"),
        "largest of small files": encoded(Image.new("P", (5700, 5700)), "PNG"),
        "EXIF": with_png_chunk(b"eXIf", tags(4000, 5 << 20)),
    }[kind]
    path = tmp_path / "picture"
    path.write_bytes(data)
    took = subprocess.run([sys.executable, "-c", MEMORY, path], capture_output=True, text=True, check=True).stdout
    assert int(took) <= 256 + 3 * (len(data) >> 20)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_or_profile_that_unpacks_to_gigabytes_is_refused(kind: bytes) -> None:
    flags = b"\1\0\0\0" if kind == b"iTXt" else b"\0"
    packed = zlib.compress(bytes(4 << 20))
    assert "damaged or cut short" in refusal(with_png_chunk(kind, b"key\0" + flags + packed))


def test_random_damage_gives_an_image_or_our_error() -> None:
    generator = np.random.default_rng(1)
    for kind in ("PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "TGA", "ICO"):
        whole = encoded(PHOTO, kind)
        for _ in range(30):
            data = bytearray(whole)
            for position in generator.integers(0, min(len(data), 200), 3):
                data[position] = generator.integers(0, 256)
            try:
                assert load_images(bytes(data))[0].pixels.shape[2] == 3
            except ModelInputError:
                continue


def file_refusal(path: object) -> str:
    text = refusal(path)
    assert text.startswith("image ('")
    return text.partition("): ")[2]


def test_paths_that_cannot_be_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert file_refusal("no.jpg") == f"there is no such file.\ncheck the path; it was looked up in {tmp_path}"
    assert file_refusal(tmp_path / "no.jpg") == "there is no such file.\ncheck the path"
    assert file_refusal(tmp_path) == "a folder, not a file.\npass a list of the paths of its files"
    assert file_refusal("a\0b") == (
        "the file cannot be read: its name holds a null character.\ncheck the path and its permissions"
    )
    assert "File name too long" in file_refusal("a" * 5000)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_huge_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert file_refusal(pipe) == (
        "this is not read as an image.\n"
        "needs a regular file of at most 1073741824 bytes; found: a device, pipe or socket\n"
        "decode it yourself and pass the pixels as a NumPy array"
    )
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"1234")
    monkeypatch.setattr(decode, "MAX_FILE_BYTES", 3)
    assert "needs a regular file of at most 3 bytes; found: 4 bytes" in file_refusal(photo)
