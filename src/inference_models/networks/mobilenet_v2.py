"""MobileNetV2: inverted residuals with linear bottlenecks, for classification.

Written from the paper, arXiv 1801.04381 (section 3, tables 1 and 2). The names of the parameters are those of the
weights that are published for torchvision's `mobilenet_v2` (BSD-3-Clause), so that these load as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from inference_models.errors import CorruptedModelPackageError

if TYPE_CHECKING:
    from collections.abc import Mapping

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion of the channels, channels that come out, repetitions, stride of the first: table 2 of the paper."""
STEM_CHANNELS = 32
LAST_CHANNELS = 1280
DROPOUT = 0.2
CLASSIFIER = "classifier.1.weight"


def build(shapes: Mapping[str, tuple[int, ...]], stated: Mapping[str, object] | None = None) -> MobileNetV2:  # noqa: ARG001
    """The network of width 1.0 for as many classes as weights of these `shapes` tell apart, not trained.

    Raises:
        CorruptedModelPackageError: the weights have no classifier.
    """
    classifier = shapes.get(CLASSIFIER, ())
    if len(classifier) != 2:
        raise CorruptedModelPackageError(
            "the weights are not those of a MobileNetV2 classifier.",
            needs=f"{CLASSIFIER} with two axes",
            found=str(classifier) if CLASSIFIER in shapes else f"{len(shapes)} tensors, none of that name",
        )
    return MobileNetV2(classes=classifier[0])


class MobileNetV2(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Images (B, 3, H, W) to logits (B, classes)."""

    def __init__(self, classes: int, colours: int = 3) -> None:
        super().__init__()
        blocks: list[nn.Module] = [_convolution(colours, STEM_CHANNELS, kernel=3, stride=2)]
        channels = STEM_CHANNELS
        for expansion, width, repetitions, stride in STAGES:
            for position in range(repetitions):
                blocks.append(InvertedResidual(channels, width, stride if position == 0 else 1, expansion))
                channels = width
        blocks.append(_convolution(channels, LAST_CHANNELS, kernel=1))
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(LAST_CHANNELS, classes))

    def forward(self, images: Tensor) -> Tensor:
        """(B, classes) logits."""
        return self.classifier(self.features(images).mean((2, 3)))


class InvertedResidual(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Expand, filter each channel, project; the input is added where the shape stays."""

    def __init__(self, channels: int, width: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_convolution(channels, hidden, kernel=1)]
        layers += [
            _convolution(hidden, hidden, kernel=3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, width, 1, bias=False),
            nn.BatchNorm2d(width),
        ]
        self.conv = nn.Sequential(*layers)
        self.adds_input = stride == 1 and channels == width

    def forward(self, maps: Tensor) -> Tensor:
        """(B, width, H / stride, W / stride)."""
        return maps + self.conv(maps) if self.adds_input else self.conv(maps)


def _convolution(channels: int, width: int, *, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU6(inplace=True),
    )
