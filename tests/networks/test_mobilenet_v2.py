from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="these are PyTorch modules")

import torch

from inference_models.errors import CorruptedModelPackageError
from inference_models.networks.mobilenet_v2 import build


def test_it_has_as_many_weights_and_layers_as_the_published_network() -> None:
    # torchvision 0.28: mobilenet_v2(weights=None): 3,504,872 parameters, 314 entries of the state dict.
    module = build({"classifier.1.weight": (1000, 1280)})
    assert sum(parameter.numel() for parameter in module.parameters()) == 3_504_872
    assert len(module.state_dict()) == 314


def test_its_work_is_that_of_the_paper() -> None:
    # arXiv 1801.04381, table 4: 300 million multiply-adds for 224 x 224.
    work = 0

    def count(layer: torch.nn.Module, _given: object, answer: torch.Tensor) -> None:
        nonlocal work
        work += layer.weight[0].numel() * answer.numel()

    module = build({"classifier.1.weight": (1000, 1280)}).eval()
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        module(torch.zeros(1, 3, 224, 224))
    assert work == pytest.approx(300e6, rel=0.01)


@pytest.mark.parametrize(("size", "side"), [(224, 7), (256, 8), (96, 3)])
def test_features_are_the_image_divided_by_32(size: int, side: int) -> None:
    module = build({"classifier.1.weight": (3, 1280)}).eval()
    with torch.inference_mode():
        images = torch.zeros(2, 3, size, size)
        assert module.features(images).shape == (2, 1280, side, side)
        assert module(images).shape == (2, 3)


def test_weights_without_a_classifier_are_refused() -> None:
    with pytest.raises(CorruptedModelPackageError) as caught:
        build({"features.0.0.weight": (32, 3, 3, 3)})
    assert str(caught.value) == (
        "the weights are not those of a MobileNetV2 classifier.\n"
        "needs classifier.1.weight with two axes; found: 1 tensors, none of that name"
    )
