"""L2CS-Net: logits against the formula of its paper in NumPy, its input against Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import graphs
from inference_models import AutoModel

BACKENDS = pytest.mark.parametrize("backend", ["onnx", "openvino"])
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def load(folder, outputs, backend="onnx", size=(32, 32)):
    if backend == "openvino":
        pytest.importorskip("openvino")
    path = graphs.constant_outputs(folder / "m.onnx", size=size, outputs=outputs, batch="batch")
    return AutoModel.from_pretrained(path, model_type="l2cs-net", backend=backend)


def radians(logits, width, first):
    raised = np.exp(logits.astype(np.float64))
    scores = raised / raised.sum(axis=1, keepdims=True)
    return np.deg2rad((scores * np.arange(logits.shape[1])).sum(axis=1) * width + first)


@BACKENDS
@pytest.mark.parametrize(("bins", "width", "first"), [(90, 4, -180), (28, 3, -42)], ids=["Gaze360", "MPIIGaze"])
@pytest.mark.parametrize("largest", [0, 3, 80])
def test_the_number_of_bins_tells_the_range_of_the_angles(tmp_path, backend, bins, width, first, largest):
    yaw, pitch = np.random.default_rng(bins).uniform(-largest, largest, (2, 1, bins)).astype(np.float32)
    gaze = load(tmp_path, {"output": yaw, "1207": pitch}, backend)([np.zeros((20, 30, 3), np.uint8)] * 2)
    # 1e-5: float32 sums of up to 89 bins.
    np.testing.assert_allclose(gaze.yaw, np.repeat(radians(yaw, width, first), 2), atol=1e-5)
    np.testing.assert_allclose(gaze.pitch, np.repeat(radians(pitch, width, first), 2), atol=1e-5)


@pytest.mark.parametrize("size", [(90, 61), (700, 520)])
def test_a_face_is_stretched_to_448_pixels_as_pillow_does_it(tmp_path, size):
    face = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    angle = np.zeros(1, np.float32)
    found = load(tmp_path, {"a": angle, "b": angle}, size=(448, 448)).pre_process(face)
    resized = np.asarray(Image.fromarray(face[..., ::-1]).resize((448, 448), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(found[0], ((resized / 255 - MEAN) / STD).transpose(2, 0, 1), atol=1e-5)
