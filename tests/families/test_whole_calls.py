"""Whole calls, picture in and prediction out, as transformers 5.24.0 answers them with its own processor and network.

DeepLabV3+ is that of segmentation-models-pytorch 0.6.0, whose examples resize with OpenCV.
The networks are tiny and have random weights; `tools/record_whole_calls.py` exported them and recorded the answers.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from inference_models import AutoModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECORDED = Path(__file__).parent / "recorded" / "whole"
BACKENDS = pytest.mark.parametrize("backend", ["onnx", "openvino"])
IMAGE, CONFIDENCE = (125, 200), 0.3


def picture() -> NDArray[np.uint8]:
    """As the script has it, blue first."""
    coarse = Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8))
    return np.asarray(coarse.resize(IMAGE[::-1], Image.Resampling.BICUBIC))[..., ::-1]


def answer(folder: Path, name: str, backend: str, **options: Any) -> tuple[Any, NDArray[Any]]:
    """Ours, and the recorded one."""
    if backend == "openvino":
        pytest.importorskip("openvino")
    path = folder / f"{name}.onnx"
    path.write_bytes(gzip.decompress((RECORDED / f"{name}.onnx.gz").read_bytes()))
    recorded = np.load(RECORDED / f"{name}.npz")
    with AutoModel.from_pretrained(path, model_type=name, backend=backend, **options) as model:
        limits = {"found": {"confidence": CONFIDENCE}, "map": {"confidence": 0.0}, "depth": {}}
        (kind,) = recorded.files
        return model(picture(), **limits[kind])[0], recorded[kind]


@BACKENDS
@pytest.mark.parametrize("name", ["rt-detr", "d-fine", "detr", "yolos"])
def test_objects_are_within_half_a_pixel(tmp_path: Path, name: str, backend: str) -> None:
    ours, wanted = answer(tmp_path, name, backend, labels=["a", "b", "c"])
    height, width = IMAGE
    inside = np.clip(wanted[:, :4], 0, [width, height, width, height])
    shown = (inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1])
    wanted, inside = wanted[shown], inside[shown]
    assert len(ours) == len(wanted) > 1
    np.testing.assert_allclose(ours.confidence, wanted[:, 4], atol=1e-3)
    np.testing.assert_array_equal(ours.class_id, wanted[:, 5])
    np.testing.assert_allclose(ours.xyxy, inside, atol=0.5)


@BACKENDS
@pytest.mark.parametrize("name", ["segformer", "deep-lab-v3-plus"])
def test_classes_of_pixels_are_equal_but_for_a_few_on_borders(tmp_path: Path, name: str, backend: str) -> None:
    ours, wanted = answer(tmp_path, name, backend, labels=[f"class {number}" for number in range(5)])
    assert len(np.unique(wanted)) > 1
    assert (ours.segmentation_map != wanted).sum() <= 25  # of 25,000


@BACKENDS
@pytest.mark.parametrize("name", ["dpt", "depth-anything-v2"])
def test_depth_is_within_a_thousandth(tmp_path: Path, name: str, backend: str) -> None:
    ours, wanted = answer(tmp_path, name, backend)
    np.testing.assert_allclose(ours, wanted, atol=1e-3 * float(np.ptp(wanted)))
