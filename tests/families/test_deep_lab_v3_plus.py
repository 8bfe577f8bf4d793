"""DeepLabV3+: logits at the size of the input, against `interpolate` and softmax of PyTorch 2.13."""

from __future__ import annotations

import numpy as np

from map_graphs import BACKENDS, FRAME, bare, upsampled
from optional import torch

LOGITS = np.random.default_rng(3).normal(0, 1, (1, 3, *FRAME)).astype(np.float32)


@BACKENDS
def test_pixels_below_one_half_are_background(tmp_path, backend):
    model = bare(tmp_path, LOGITS, architecture="deep-lab-v3-plus", backend=backend, labels=["background", "a", "b"])
    (found,) = model(np.zeros((120, 200, 3), np.uint8))
    scores = torch.softmax(torch.from_numpy(upsampled(LOGITS[0], (120, 200), "bilinear", align_corners=False)), 0)
    wanted = np.where(scores.amax(0) < 0.5, 0, scores.argmax(0))
    assert (found.segmentation_map == wanted).mean() > 0.9995
