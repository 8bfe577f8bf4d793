from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch", reason="these are PyTorch modules")

import torch

from inference_models.errors import CorruptedModelPackageError
from inference_models.networks.efficientnet_lite import build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOGITS = [-2.2451279, 0.5608406, 1.3898530, 0.0131303, 1.1299213, -1.1760046]
"""The first of timm 1.0.31 (`tf_efficientnet_lite0` with the same weights) for normal noise, in torch 2.14.1."""


def test_published_weights_give_what_timm_makes_of_them(real_weights: Callable[[str], Path]) -> None:
    path = real_weights("efficientnet-lite0/efficientnet-lite0-57934424.pth")
    state = torch.load(path, map_location="cpu", weights_only=True)
    network = build({name: tuple(tensor.shape) for name, tensor in state.items()}).eval()
    network.load_state_dict(state)
    noise = np.random.default_rng(0).normal(0, 1, (1, 3, 224, 224)).astype(np.float32)
    with torch.inference_mode():
        (found,) = network(torch.from_numpy(noise))
    np.testing.assert_allclose(found[: len(LOGITS)], LOGITS, atol=1e-4)


def small() -> dict[str, tuple[int, ...]]:
    """Shapes of a network of seven stages of one block each."""
    shapes: dict[str, tuple[int, ...]] = {"_conv_stem.weight": (4, 3, 3, 3), "_fc.weight": (5, 12), "_fc.bias": (5,)}
    channels = 4
    for place in range(7):
        hidden, width = channels * 2, place + 2
        shapes |= {
            f"_blocks.{place}._expand_conv.weight": (hidden, channels, 1, 1),
            f"_blocks.{place}._depthwise_conv.weight": (hidden, 1, 3 + place % 2 * 2, 3 + place % 2 * 2),
            f"_blocks.{place}._project_conv.weight": (width, hidden, 1, 1),
        }
        channels = width
    return {**shapes, "_conv_head.weight": (12, channels, 1, 1)}


@pytest.mark.parametrize("size", [64, 75])
def test_any_size_of_it_is_built_from_shapes(size: int) -> None:
    network = build(small()).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, size, size)).shape == (2, 5)
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()}.items() >= small().items()


@pytest.mark.parametrize("missing", ["_fc.weight", "_blocks.6._project_conv.weight"])
def test_other_weights_are_refused(missing: str) -> None:
    shapes = small()
    del shapes[missing]
    with pytest.raises(CorruptedModelPackageError, match=r"needs _conv_stem\.weight"):
        build(shapes)
