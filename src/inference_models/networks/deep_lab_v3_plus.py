"""DeepLabV3+ with an output stride of 16, on a ResNet or MobileNetV2: semantic segmentation.

Written from the paper, arXiv 1802.02611 (section 3), with the names of the parameters, the rates (12, 24, 36) and the
corners of the resizing of segmentation_models_pytorch 0.6 (`DeepLabV3Plus`, MIT), so that its weights load as they are,
also those that a Lightning module saved, as `model...`. Widths and depths are read from the shapes of the weights.
"""

from __future__ import annotations

import re
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any

from torch import Tensor, cat, nn

from inference_models.errors import CorruptedModelPackageError, ModelImplementationNotFoundError
from inference_models.networks import mobilenet_v2, resnet

if TYPE_CHECKING:
    from collections.abc import Mapping

    Shapes = Mapping[str, tuple[int, ...]]

RATES = (12, 24, 36)
"""Of the three dilated convolutions."""
DETAIL_CHANNELS = 48
LIGHTNING = "model."
ENCODER, LAYER = "encoder.", "segmentation_head.0"
BLOCKS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
    "resnext50_32x4d": (3, 4, 6, 3),
    "resnext101_32x4d": (3, 4, 23, 3),
    "resnext101_32x8d": (3, 4, 23, 3),
    "resnext101_32x16d": (3, 4, 23, 3),
    "resnext101_32x32d": (3, 4, 23, 3),
    "resnext101_32x48d": (3, 4, 23, 3),
}
"""Encoders by name, and their blocks by stage; those of fewer than 50 layers have two convolutions in each."""
MOBILE = "mobilenet_v2"


def build(shapes: Shapes, stated: Mapping[str, Any]) -> DeepLabV3Plus:
    """The network that weights of these `shapes` belong to, not trained.

    Raises:
        ModelImplementationNotFoundError: its encoder is none of those that can be built here.
        CorruptedModelPackageError: the weights are others than the package states.
    """
    prefix = LIGHTNING if all(name.startswith(LIGHTNING) for name in shapes) else ""
    bare = {name.removeprefix(prefix): shape for name, shape in shapes.items()}
    named = stated.get("encoder_name")
    if named is not None and named not in {*BLOCKS, MOBILE}:
        raise ModelImplementationNotFoundError(
            "the encoder of the network is none that can be built here.",
            needs=", ".join((*BLOCKS, MOBILE)),
            found=ascii(named)[:80],
            fix="export the model to ONNX, and load that",
        )
    _refuse_others(bare, stated, named)
    network = DeepLabV3Plus(bare)
    if prefix:
        network.names_in_files = {f"{prefix}{name}": (name,) for name in network.state_dict()}
    return network


def _refuse_others(shapes: Shapes, stated: Mapping[str, Any], named: str | None) -> None:
    stem = shapes.get("encoder.conv1.weight", shapes.get("encoder.features.0.0.weight", ()))
    facts: dict[str, Any] = {
        "encoder_name": named if named in _encoders(shapes) else " or ".join(_encoders(shapes)) or "another encoder",
        "classes": next(iter(shapes.get(f"{LAYER}.bias", ())), "none"),
        "in_channels": stem[1] if len(stem) == 4 else "none",
    }
    for key, found in facts.items():
        if found != stated.get(key, found) or found in {"none", "another encoder"}:
            raise CorruptedModelPackageError(
                f"the weights are not those of a DeepLabV3+ with {key} {stated.get(key, 'as they can be built here')}.",
                needs=f"{key} {stated.get(key, 'of ' + ', '.join((*BLOCKS, MOBILE)))}",
                found=f"weights of {found}",
                fix="correct model_initialization in inference_config.json, or fetch the package again",
            )


def _encoders(shapes: Shapes) -> list[str]:
    """Names of the encoders that have the blocks of these weights."""
    if len(shapes.get("encoder.features.18.0.weight", ())) == 4:
        return [MOBILE]
    stages = tuple(_count(shapes, f"encoder.{stage}") for stage in resnet.STAGES)
    is_deep = "encoder.layer1.0.conv3.weight" in shapes
    kernel = shapes.get("encoder.layer1.0.conv2.weight", (1, 1))
    grouped = is_deep and kernel[1] * 32 == kernel[0]
    width = re.compile(
        rf"resnext\d+_32x{kernel[0] // 32}d" if grouped else "resnet(18|34)" if not is_deep else r"resnet(\d{3}|50)"
    )
    return [name for name, blocks in BLOCKS.items() if blocks == stages and width.fullmatch(name)]


def _count(shapes: Shapes, stage: str) -> int:
    return sum(1 for _ in takewhile(lambda i: f"{stage}.{i}.conv1.weight" in shapes, count()))


class DeepLabV3Plus(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Images (B, C, H, W), sides multiples of 16, to logits (B, classes, H, W)."""

    names_in_files: Mapping[str, tuple[str, ...]] | None = None

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        width = shapes.get("decoder.aspp.2.weight", (256,))[0]
        inside = {name.removeprefix(ENCODER): shape for name, shape in shapes.items() if name.startswith(ENCODER)}
        stem = inside.get("features.0.0.weight")
        self.encoder: Any = ResNetEncoder(inside) if stem is None else MobileEncoder(stem[1])
        fine, coarse = self.encoder.widths
        self.decoder = Decoder(fine, coarse, width)
        self.segmentation_head = nn.Sequential(nn.Conv2d(width, shapes[f"{LAYER}.bias"][0], 1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return _enlarged(self.segmentation_head(self.decoder(*self.encoder(images))))


class ResNetEncoder(resnet.Encoder):
    """Maps of a quarter and of a sixteenth of each side."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        _dilate(self.layer4)
        self.widths = tuple(self._width(stage) for stage in (self.layer1, self.layer4))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The first and the last stage."""
        fine, *_, coarse = self.stages(images)
        return fine, coarse

    @staticmethod
    def _width(stage: nn.Sequential) -> int:
        last = stage[-1]
        return int(getattr(last, f"conv{last.depth}").out_channels)


class MobileEncoder(mobilenet_v2.MobileNetV2):
    """The same of a MobileNetV2."""

    widths = (24, mobilenet_v2.LAST_CHANNELS)
    _FINE, _DILATED = 3, 14

    def __init__(self, colours: int) -> None:
        super().__init__(classes=1, colours=colours)
        del self.classifier
        _dilate(self.features[self._DILATED :])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The maps behind the second stage, and the last ones."""
        fine = self.features[: self._FINE + 1](images)
        return fine, self.features[self._FINE + 1 :](fine)


class Decoder(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Coarse maps, seen at several rates and enlarged, and fine ones, joined."""

    def __init__(self, fine: int, coarse: int, width: int) -> None:
        super().__init__()
        self.aspp = nn.Sequential(Pyramid(coarse, width), _separable(width, width), nn.BatchNorm2d(width), nn.ReLU())
        self.block1 = _unit(nn.Conv2d(fine, DETAIL_CHANNELS, 1, bias=False), DETAIL_CHANNELS)
        self.block2 = _unit(_separable(DETAIL_CHANNELS + width, width), width)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """(B, width, H / 4, W / 4)."""
        return self.block2(cat([_enlarged(self.aspp(coarse)), self.block1(fine)], dim=1))


class Pyramid(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Atrous spatial pyramid pooling: a point, three rates and the whole picture."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [
                _unit(nn.Conv2d(channels, width, 1, bias=False), width),
                *(_unit(_separable(channels, width, rate), width) for rate in RATES),
                nn.Sequential(nn.AdaptiveAvgPool2d(1), *_unit(nn.Conv2d(channels, width, 1, bias=False), width)),
            ]
        )
        self.project = _unit(nn.Conv2d(5 * width, width, 1, bias=False), width)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, width, h, w)."""
        *seen, whole = [convolution(maps) for convolution in self.convs]
        return self.project(cat([*seen, whole.expand_as(seen[0])], dim=1))


def _unit(layer: nn.Module, width: int) -> nn.Sequential:
    return nn.Sequential(layer, nn.BatchNorm2d(width), nn.ReLU())


def _separable(channels: int, width: int, rate: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=rate, dilation=rate, groups=channels, bias=False),
        nn.Conv2d(channels, width, 1, bias=False),
    )


def _dilate(stage: nn.Module) -> None:
    """The convolutions of `stage` look at every other pixel instead of leaving every other one out."""
    for layer in stage.modules():
        if isinstance(layer, nn.Conv2d):
            layer.stride, layer.dilation = (1, 1), (2, 2)
            layer.padding = tuple(side // 2 * 2 for side in layer.kernel_size)


def _enlarged(maps: Tensor) -> Tensor:
    """Four times the sides, corners on corners."""
    return nn.functional.interpolate(maps, scale_factor=4, mode="bilinear", align_corners=True)
