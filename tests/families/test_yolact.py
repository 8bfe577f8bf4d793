from __future__ import annotations

import numpy as np
import pytest

from decoders.independent_nms import torch_decode
from inference_models import AutoModel
from optional import torch
from tasks.test_graph_instances import FRAME, IMAGE, NAMES, PICTURE, package

PRIORS, MAPS = 50, 8


def outputs():
    rng = np.random.default_rng(3)
    smooth = torch.nn.functional.interpolate(
        torch.from_numpy(rng.normal(size=(1, MAPS, 5, 6)).astype(np.float32)), (24, 32), mode="bicubic"
    )
    arrays = [
        rng.normal(size=(1, PRIORS, 4)),
        rng.dirichlet(np.full(4, 0.3), (1, PRIORS)),
        rng.normal(size=(1, PRIORS, MAPS)),
        np.concatenate([rng.uniform(0.1, 0.9, (PRIORS, 2)), rng.uniform(0.1, 0.5, (PRIORS, 2))], axis=1),
        smooth.numpy().transpose(0, 2, 3, 1),
    ]
    return [array.astype(np.float32) for array in arrays]


def original(arrays, confidence, iou):
    """`decode`, `Detect` and `postprocess` of the project in PyTorch, in the order of the paper; float32."""
    offsets, scores, coefficients, priors, prototypes = map(torch.from_numpy, arrays)
    centre = priors[:, :2] + offsets[0, :, :2] * 0.1 * priors[:, 2:]
    size = priors[:, 2:] * torch.exp(offsets[0, :, 2:] * 0.2)
    xyxy = torch.cat([centre - size / 2, centre + size / 2], 1) * torch.tensor([128.0, 96, 128, 96])
    boxes = torch_decode(xyxy.numpy(), scores[0, :, 1:].numpy(), confidence, iou, 300)
    masks = torch.sigmoid(prototypes[0] @ coefficients[0].T).permute(2, 0, 1)[None, :, 2:22]
    return boxes, torch.nn.functional.interpolate(masks, IMAGE, mode="bilinear")[0] > 0.5


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_priors_coefficients_and_prototypes_give_what_the_project_makes_of_them(tmp_path, backend):
    arrays = outputs()
    model = AutoModel.from_pretrained(package(tmp_path / "m", arrays, architecture="yolact", batch=1), backend=backend)
    first, second = model([PICTURE, PICTURE], confidence=0.4, iou_threshold=0.5, masks="dense")
    (xyxy, scores, class_id, anchor), masks = original(arrays, 0.4, 0.5)
    assert first == second
    assert len(first) == len(scores) > 5
    np.testing.assert_allclose(first.confidence, scores, atol=1e-6)
    np.testing.assert_array_equal(first.class_id, class_id)
    np.testing.assert_allclose(first.xyxy, np.clip((xyxy - [0, 8, 0, 8]) / 0.64, 0, [200, 125, 200, 125]), atol=1e-3)
    y, x = np.mgrid[: IMAGE[0], : IMAGE[1]]
    for box, mask, row in zip(first.xyxy, first.mask, anchor, strict=True):
        boxed = (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])
        # Pixels within the last digits of float32 of the threshold.
        assert (mask != (masks[row].numpy() & boxed)).sum() <= 2
    assert model.class_names == NAMES
    assert model.pre_process(PICTURE)[0].shape[2:] == FRAME
