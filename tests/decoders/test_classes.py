from __future__ import annotations

import numpy as np
import pytest

from inference_models.decoders.classes import FUSED, SIGMOID, SOFTMAX
from inference_models.errors import CorruptedModelPackageError
from optional import torch

EXPECTED = {
    "softmax": (SOFTMAX, lambda x: x.softmax(dim=1)),
    "sigmoid": (SIGMOID, torch.sigmoid),
    "fused": (FUSED, lambda x: x),
}
KINDS = pytest.mark.parametrize("kind", sorted(EXPECTED))


def logits(seed=0):
    rows = np.random.default_rng(seed).normal(0, 4, (3, 7)).astype(np.float32)
    rows[1] *= 1000  # beyond what exp can hold
    return rows


@KINDS
def test_scores_are_those_of_torch(kind):
    decoder, reference = EXPECTED[kind]
    found = decoder.decode([logits()])
    assert found.dtype == np.float32
    # torch 2.13 float64, rounded: two float32 roundings apart at most.
    np.testing.assert_allclose(found, reference(torch.from_numpy(logits()).double()).numpy(), rtol=1e-5, atol=1e-7)


@KINDS
def test_torch_tensors_give_torch_tensors(kind):
    decoder, _ = EXPECTED[kind]
    found = decoder.decode([torch.from_numpy(logits())])
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.numpy(), decoder.decode([logits()]), rtol=1e-6, atol=1e-7)


@KINDS
def test_half_precision_logits_give_float32_scores(kind):
    decoder, _ = EXPECTED[kind]
    half = np.random.default_rng(1).normal(0, 4, (3, 7)).astype(np.float16)
    found = decoder.decode([half])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, decoder.decode([half.astype(np.float32)]))


@KINDS
def test_the_number_of_classes_is_read_from_shapes(kind):
    decoder, _ = EXPECTED[kind]
    assert decoder.count_classes([(None, 1000)]) == 1000
    assert decoder.count_classes([(None, None)]) is None
    with pytest.raises(CorruptedModelPackageError, match="do not have the layout"):
        decoder.count_classes([(1, 1000, 1, 1)])


@KINDS
def test_an_output_of_another_rank_is_refused(kind):
    decoder, _ = EXPECTED[kind]
    with pytest.raises(CorruptedModelPackageError) as caught:
        decoder.decode([np.zeros((1, 84, 100), np.float32)])
    assert str(caught.value) == (
        "the outputs of the graph do not have the layout of its architecture.\n"
        "needs one output (B, C); found: (1, 84, 100)\n"
        "name the architecture and task that this file was exported from, or export it again"
    )
