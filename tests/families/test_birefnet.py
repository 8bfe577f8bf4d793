"""Mattes of BiRefNet and MODNet: maps as their exports give them, resized as PyTorch 2.13 does it."""

from __future__ import annotations

import numpy as np
import pytest

import graphs
from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError
from map_graphs import BACKENDS, FRAME, bare, upsampled
from optional import torch

LOGITS = np.random.default_rng(3).normal(0, 3, (1, 1, *FRAME)).astype(np.float32)
SIZE = (120, 200)


@BACKENDS
@pytest.mark.parametrize("architecture", ["birefnet", "modnet"])
def test_the_confidence_is_the_matte_and_the_map_its_better_half(tmp_path, backend, architecture):
    output = LOGITS if architecture == "birefnet" else torch.sigmoid(torch.from_numpy(LOGITS)).numpy()
    model = bare(tmp_path, output, architecture=architecture, backend=backend)
    (found,) = model(np.zeros((*SIZE, 3), np.uint8))
    wanted = upsampled(output[0, 0], SIZE, "bilinear", align_corners=False)
    wanted = wanted if architecture == "modnet" else torch.sigmoid(torch.from_numpy(wanted)).numpy()
    np.testing.assert_allclose(found.confidence, wanted, atol=1e-4)
    assert 0.1 < found.confidence[found.segmentation_map == 0].mean() < 0.4
    np.testing.assert_array_equal(found.segmentation_map, found.confidence >= 0.5)
    (strict,) = model(np.zeros((*SIZE, 3), np.uint8), confidence=0.9)
    np.testing.assert_array_equal(strict.confidence, found.confidence)
    np.testing.assert_array_equal(strict.segmentation_map, found.confidence >= 0.9)


@pytest.mark.parametrize(("size", "network"), [((480, 640), (512, 672)), ((2000, 1000), (1024, 512))])
def test_the_shorter_side_of_a_free_network_is_512(tmp_path, size, network):
    graphs.save(
        tmp_path / "m.onnx",
        [graphs.helper.make_node("ReduceMean", ["input"], ["output"], axes=[1])],
        inputs={"input": ["n", 3, "h", "w"]},
        outputs={"output": ["n", 1, "h", "w"]},
    )
    model = AutoModel.from_pretrained(tmp_path / "m.onnx", model_type="modnet")
    assert model.pre_process(np.zeros((*size, 3), np.uint8))[0].shape[2:] == network


def test_a_map_of_several_classes_is_refused(tmp_path):
    with pytest.raises(CorruptedModelPackageError, match="2 names of classes, but output 'output0' has 3"):
        bare(tmp_path, np.repeat(LOGITS, 3, axis=1), architecture="birefnet", backend="onnx")
