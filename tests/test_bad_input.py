"""Bad input of every kind gets its error, and the next good call gives the same answer as before."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import graphs
from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError, MissingModelInitParameterError, ModelInputError
from inference_models.tasks.object_detection import GraphDetector

PHOTO = Path(__file__).parent.parent / "examples" / "astronaut.jpg"
GOOD = np.full((50, 60, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> GraphDetector:
    rows = np.zeros((1, 6, 9), np.float32)
    rows[0, :, 0] = [32, 32, 16, 8, 0.9, 0.1]
    path = graphs.constant_outputs(
        tmp_path_factory.mktemp("model") / "best.onnx", size=(64, 64), outputs={"output0": rows}
    )
    return AutoModel.from_pretrained(path, labels=["cat", "dog"], model_type="yolov8")


def truncated_jpeg() -> bytes:
    data = PHOTO.read_bytes()
    return data[: len(data) // 2]


def png_header_of_a_bomb() -> bytes:
    import struct
    import zlib

    body = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


BAD = {
    "None": None,
    "a number": 3,
    "an empty list": [],
    "a string that is no path": "nowhere.jpg",
    "a URL": "https://example.com/cat.jpg",
    "empty bytes": b"",
    "bytes that are no image": b"GIF8 but not really",
    "text bytes": b"<html>not found</html>",
    "a truncated JPEG": truncated_jpeg(),
    "the header of a bomb": png_header_of_a_bomb(),
    "0 x N": np.zeros((0, 10, 3), np.uint8),
    "N x 0": np.zeros((10, 0, 3), np.uint8),
    "two dimensions": np.zeros((640, 480), np.uint8),
    "one dimension": np.zeros(10, np.uint8),
    "five dimensions": np.zeros((1, 1, 4, 4, 3), np.uint8),
    "channels first": np.zeros((3, 64, 48), np.uint8),
    "two channels": np.zeros((8, 8, 2), np.uint8),
    "float64": np.zeros((8, 8, 3)),
    "float32": np.zeros((8, 8, 3), np.float32),
    "NaN": np.full((8, 8, 3), np.nan, np.float32),
    "uint16": np.zeros((8, 8, 3), np.uint16),
    "int32": np.zeros((8, 8, 3), np.int32),
    "bool": np.zeros((8, 8, 3), bool),
    "object": np.zeros((8, 8, 3), object),
    "complex": np.zeros((8, 8, 3), complex),
    "an empty batch": np.zeros((0, 8, 8, 3), np.uint8),
    "nested lists": [[GOOD]],
    "a dictionary": {"image": GOOD},
    "a generator": (GOOD for _ in range(2)),
    "an open file": io.BytesIO(b""),
    "a folder": PHOTO.parent,
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_and_the_next_call_works(model: GraphDetector, name: str) -> None:
    before = model(GOOD)
    with pytest.raises(ModelInputError) as caught:
        model(BAD[name])
    assert str(caught.value).strip()
    assert "Traceback" not in str(caught.value)
    assert "0x" not in str(caught.value), "an address in memory is of no use to anybody"
    assert model(GOOD) == before


@pytest.mark.parametrize("name", [name for name in BAD if name != "an empty list"])
def test_a_bad_element_of_a_list_is_named_by_its_place(model: GraphDetector, name: str) -> None:
    with pytest.raises(ModelInputError) as caught:
        model([GOOD, GOOD, BAD[name], GOOD])
    assert str(caught.value).startswith("image 3 of 4")
    assert caught.value.index == 2


def test_a_bad_element_far_down_a_long_list_keeps_its_place(model: GraphDetector) -> None:
    with pytest.raises(ModelInputError, match=r"^image 40 of 41"):
        model([*[GOOD] * 39, None, GOOD])


BAD_FILES = {
    "empty": b"",
    "text": b"not a model",
    "html": b"<!doctype html><html></html>" * 20,
    "zip": b"PK\x03\x04" + bytes(100),
    "zeros": bytes(4096),
    "half": None,
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_corrupt_graph_is_refused_before_a_runtime_sees_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "best.onnx"
    data = BAD_FILES[name]
    if data is None:
        whole = graphs.convolution(tmp_path / "whole.onnx")[0].read_bytes()
        data = whole[: len(whole) // 2]
    path.write_bytes(data)
    with pytest.raises(CorruptedModelPackageError) as caught:
        AutoModel.from_pretrained(path, labels=["cat"], model_type="yolov8")
    assert str(caught.value).startswith("best.onnx")


def test_a_missing_graph_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises((CorruptedModelPackageError, MissingModelInitParameterError, LookupError)) as caught:
        AutoModel.from_pretrained(tmp_path / "nowhere.onnx", labels=["cat"], model_type="yolov8")
    assert "nowhere.onnx" in str(caught.value)


def test_bad_pictures_write_nothing_to_the_terminal(model: GraphDetector, capfd: pytest.CaptureFixture[str]) -> None:
    for data in (truncated_jpeg(), b"\xff\xd8\xff\xe0 no jpeg", png_header_of_a_bomb()):
        with pytest.raises(ModelInputError):
            model(data)
    assert capfd.readouterr() == ("", "")
