"""ResNet of basic or bottleneck blocks, ResNeXt and wide ones included, for classification.

Written from the papers, arXiv 1512.03385 (table 1) and 1611.05431 (groups). Names of the parameters, and the stride on
the middle convolution of a bottleneck, are those of timm 1.0 and torchvision, so that weights of both load as they are.
Depth, widths and groups are read from the shapes of the weights. Variants with another stem, attention or smoothed
strides have other parameters, and are refused by these.
"""

from __future__ import annotations

from itertools import count, takewhile
from typing import TYPE_CHECKING

from torch import Tensor, nn

from inference_models.errors import CorruptedModelPackageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Shapes = Mapping[str, tuple[int, ...]]

STEM, CLASSIFIER = "conv1.weight", "fc.weight"
STAGES = ("layer1", "layer2", "layer3", "layer4")


def build(shapes: Shapes, stated: Mapping[str, object] | None = None) -> ResNet:  # noqa: ARG001 - its weights say all
    """The network that weights of these `shapes` belong to, not trained.

    Raises:
        CorruptedModelPackageError: they are not those of a ResNet classifier.
    """
    kernels = [shapes.get(name, ()) for name in (STEM, *(f"{stage}.0.conv1.weight" for stage in STAGES))]
    if any(len(kernel) != 4 for kernel in kernels) or len(shapes.get(CLASSIFIER, ())) != 2:
        raise CorruptedModelPackageError(
            "the weights are not those of a ResNet classifier.",
            needs=f"{STEM}, {CLASSIFIER} and blocks in {', '.join(STAGES)}",
            found=", ".join(sorted(shapes)[:4]) or "nothing",
            fix="export the model to ONNX, and load that",
        )
    return ResNet(shapes)


class Encoder(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Images (B, 3, H, W) to the maps of each stage, the first of H / 4 and W / 4, each of half the one before."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        width, colours = shapes[STEM][:2]
        self.conv1 = nn.Conv2d(colours, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        for stage in STAGES:
            names = takewhile(lambda name: f"{name}.conv1.weight" in shapes, (f"{stage}.{i}" for i in count()))
            strides = {f"{stage}.0": 1 if stage == STAGES[0] else 2}
            self.add_module(stage, nn.Sequential(*(Block(shapes, name, strides.get(name, 1)) for name in names)))

    def stages(self, images: Tensor) -> Iterator[Tensor]:
        """The maps of each, one after the other."""
        maps = nn.functional.max_pool2d(self.bn1(self.conv1(images)).relu(), 3, 2, 1)
        for stage in STAGES:
            maps = getattr(self, stage)(maps)
            yield maps


class ResNet(Encoder):
    """Images (B, 3, H, W) to logits (B, classes)."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        self.fc = nn.Linear(*reversed(shapes[CLASSIFIER]))

    def forward(self, images: Tensor) -> Tensor:
        """(B, classes) logits."""
        *_, maps = self.stages(images)
        return self.fc(maps.mean((2, 3)))


class Block(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Two convolutions of 3 x 3, or one between two of 1 x 1; the input is added, projected where shapes differ."""

    def __init__(self, shapes: Shapes, name: str, stride: int) -> None:
        super().__init__()
        kernels = [shape for i in (1, 2, 3) if len(shape := shapes.get(f"{name}.conv{i}.weight", ())) == 4]
        channels, strided = kernels[0][1], 1 if len(kernels) == 3 else 0
        self.depth = len(kernels)
        given = channels
        for index, (width, per_group, side, _) in enumerate(kernels):
            step = stride if index == strided else 1
            groups = max(1, given // per_group)
            convolution = nn.Conv2d(given, width, side, step, side // 2, groups=groups, bias=False)
            self.add_module(f"conv{index + 1}", convolution)
            self.add_module(f"bn{index + 1}", nn.BatchNorm2d(width))
            given = width
        self.downsample = None
        if f"{name}.downsample.0.weight" in shapes:
            self.downsample = nn.Sequential(nn.Conv2d(channels, given, 1, stride, bias=False), nn.BatchNorm2d(given))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, width, H / stride, W / stride)."""
        answer = maps
        for index in range(1, self.depth + 1):
            answer = getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(answer))
            answer = answer.relu() if index < self.depth else answer
        return (answer + (maps if self.downsample is None else self.downsample(maps))).relu()
