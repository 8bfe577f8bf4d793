"""Depth Anything V3: the depth of its export, resized as PyTorch 2.13 does it; larger is farther."""

from __future__ import annotations

import numpy as np
import pytest

from map_graphs import BACKENDS, FRAME, bare, upsampled

DEPTH = np.random.default_rng(3).uniform(0, 9, (1, *FRAME)).astype(np.float32)


@BACKENDS
@pytest.mark.parametrize("output", [DEPTH, DEPTH[:, None]], ids=["planes", "one channel"])
def test_relative_depth_is_that_of_the_original(tmp_path, backend, output):
    model = bare(tmp_path, output, architecture="depth-anything-v3", backend=backend)
    (depth,) = model(np.zeros((120, 200, 3), np.uint8))
    np.testing.assert_allclose(depth, upsampled(DEPTH[0], (120, 200), "bilinear", align_corners=False), rtol=1e-3)
    assert model.unit == "relative depth"
