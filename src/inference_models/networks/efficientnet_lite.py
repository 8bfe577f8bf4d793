"""EfficientNet-Lite: inverted residuals without squeeze and excitation, for classification.

Written from the paper, arXiv 1905.11946 (section 4, table 1), and the changes that make it Lite: ReLU6 everywhere, no
squeeze and excitation (Apache-2.0, tensorflow/tpu). The names of the parameters are those of the weights that were
published for PyTorch (`_blocks.0._depthwise_conv.weight`, ...), from whose shapes any of its sizes is built.
"""

from __future__ import annotations

from itertools import count, takewhile
from typing import TYPE_CHECKING

from torch import Tensor, nn

from inference_models.errors import CorruptedModelPackageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    Shapes = Mapping[str, tuple[int, ...]]

STEM, HEAD, CLASSIFIER = "_conv_stem.weight", "_conv_head.weight", "_fc.weight"
STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Of the first block of each stage; a stage ends where the width changes."""
EPSILON = 1e-3
"""Of the normalisation, as TensorFlow trained it."""


def build(shapes: Shapes, stated: Mapping[str, object] | None = None) -> EfficientNetLite:  # noqa: ARG001
    """The network of weights of these `shapes`, not trained.

    Raises:
        CorruptedModelPackageError: they are not those of an EfficientNet-Lite classifier.
    """
    axes = {STEM: 4, HEAD: 4, CLASSIFIER: 2, "_blocks.0._project_conv.weight": 4}
    odd = next((name for name, length in axes.items() if len(shapes.get(name, ())) != length), None)
    widths = _widths(shapes)
    if odd is not None or len({*widths}) != len(STRIDES):
        raise CorruptedModelPackageError(
            "the weights are not those of an EfficientNet-Lite classifier.",
            needs=f"{', '.join(axes)}, and blocks of {len(STRIDES)} widths",
            found=f"{len(shapes)} tensors, blocks of {len({*widths})} widths" + (f", no {odd}" if odd else ""),
        )
    return EfficientNetLite(shapes)


def _widths(shapes: Shapes) -> list[int]:
    """Channels that come out of each block."""
    projections = (shapes.get(f"_blocks.{number}._project_conv.weight", ()) for number in count())
    return [shape[0] for shape in takewhile(lambda shape: len(shape) == 4, projections)]


class EfficientNetLite(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Images (B, 3, H, W) to logits (B, classes)."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        widths = _widths(shapes)
        firsts = [place for place, width in enumerate(widths) if place == 0 or width != widths[place - 1]]
        strides = dict(zip(firsts, STRIDES, strict=True))
        self._conv_stem = SameConvolution(*shapes[STEM], stride=2)
        self._bn0 = nn.BatchNorm2d(shapes[STEM][0], EPSILON)
        self._blocks = nn.Sequential(*(Block(shapes, place, strides.get(place, 1)) for place in range(len(widths))))
        self._conv_head = SameConvolution(*shapes[HEAD])
        self._bn1 = nn.BatchNorm2d(shapes[HEAD][0], EPSILON)
        self._fc = nn.Linear(*reversed(shapes[CLASSIFIER]))

    def forward(self, images: Tensor) -> Tensor:
        """(B, classes) logits."""
        maps = self._blocks(nn.functional.relu6(self._bn0(self._conv_stem(images))))
        maps = nn.functional.relu6(self._bn1(self._conv_head(maps)))
        return self._fc(maps.mean((2, 3)))


class Block(nn.Module):  # type: ignore[misc]  # as above
    """Expand where there are weights for it, filter each channel, project; the input is added where shapes stay."""

    def __init__(self, shapes: Shapes, place: int, stride: int) -> None:
        super().__init__()
        expand, depthwise, project = (
            shapes.get(f"_blocks.{place}._{name}_conv.weight", ()) for name in ("expand", "depthwise", "project")
        )
        self._expand_conv = SameConvolution(*expand) if expand else None
        self._bn0 = nn.BatchNorm2d(expand[0], EPSILON) if expand else None
        self._depthwise_conv = SameConvolution(*depthwise, stride=stride, groups=depthwise[0])
        self._bn1 = nn.BatchNorm2d(depthwise[0], EPSILON)
        self._project_conv = SameConvolution(*project)
        self._bn2 = nn.BatchNorm2d(project[0], EPSILON)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, width, H / stride, W / stride)."""
        hidden = maps
        if self._expand_conv is not None and self._bn0 is not None:
            hidden = nn.functional.relu6(self._bn0(self._expand_conv(hidden)))
        hidden = nn.functional.relu6(self._bn1(self._depthwise_conv(hidden)))
        answer = self._bn2(self._project_conv(hidden))
        return answer + maps if answer.shape == maps.shape else answer


class SameConvolution(nn.Conv2d):  # type: ignore[misc]  # as above
    """A convolution padded as TensorFlow does it: more at the end where it is not the same on both sides."""

    def __init__(self, width: int, per_group: int, *sides: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(per_group * groups, width, sides, stride, groups=groups, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, width, H / stride, W / stride), rounded up."""
        padding: list[int] = []
        for length, kernel, stride in zip(maps.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            missing = max((-(-length // stride) - 1) * stride + kernel - length, 0)
            padding += [missing // 2, missing - missing // 2]
        return super().forward(nn.functional.pad(maps, padding))
