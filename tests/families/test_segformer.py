"""SegFormer: logits as its export gives them, resized and read as its processor in transformers 5.24 does."""

from __future__ import annotations

import numpy as np
import pytest

from inference_models.errors import MissingModelInitParameterError
from map_graphs import BACKENDS, bare, upsampled

LOGITS = np.random.default_rng(3).normal(0, 3, (1, 19, 16, 24)).astype(np.float32)
NAMES = [f"class {number}" for number in range(19)]


@BACKENDS
def test_the_map_is_that_of_the_original(tmp_path, backend):
    model = bare(tmp_path, LOGITS, architecture="segformer", backend=backend, labels=NAMES)
    (found,) = model(np.zeros((120, 200, 3), np.uint8))
    wanted = upsampled(LOGITS[0], (120, 200), "bilinear", align_corners=False).argmax(0)
    assert (found.segmentation_map == wanted).mean() > 0.9995


def test_classes_must_be_named(tmp_path):
    with pytest.raises(MissingModelInitParameterError, match="labels="):
        bare(tmp_path, LOGITS, architecture="segformer", backend="onnx")
