"""PatchCore: how far patches of a picture are from those of normal ones, in the features of a ResNet.

Written from the paper, arXiv 2106.08265 (section 3), with the settings of the training platform: stages 2 and 3 of a
ResNet, patches of 3 x 3 averaged to 1024 numbers, the mean squared distance to the nearest of the memory bank, and maps
smoothed as `scipy.ndimage.gaussian_filter(sigma=4)` does. Its files hold `memory_bank` and `backbone`, the weights of
torchvision's `wide_resnet50_2` with its last stage and classifier, which are not looked at.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from inference_models.errors import CorruptedModelPackageError
from inference_models.networks import resnet

if TYPE_CHECKING:
    from collections.abc import Mapping

    Shapes = Mapping[str, tuple[int, ...]]

BACKBONE, BANK = "backbone.", "memory_bank"
PATCH, LENGTH = 3, 1024
SIGMA, RADIUS = 4.0, 16
LARGEST = 1 << 26
"""Distances that are held at once."""


def build(shapes: Shapes, stated: Mapping[str, Any]) -> PatchCore:
    """The network that weights of these `shapes` belong to, not trained.

    Raises:
        CorruptedModelPackageError: they are not those of PatchCore, or hold fewer patches than are looked for.
    """
    neighbors, bank = int(stated.get("neighbors", 1)), shapes.get(BANK, ())
    if len(bank) != 2 or bank[1] != LENGTH or bank[0] < neighbors:
        raise CorruptedModelPackageError(
            "the weights are not those of PatchCore.",
            needs=f"{BANK} (at least {neighbors}, {LENGTH})",
            found=str(bank) if bank else ", ".join(sorted(shapes)[:3]),
        )
    inside = {name.removeprefix(BACKBONE): shape for name, shape in shapes.items() if name.startswith(BACKBONE)}
    return PatchCore(resnet.build(inside), bank, neighbors)


class PatchCore(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Images (B, 3, H, W) to scores (B,) and maps of them (B, H, W)."""

    def __init__(self, backbone: resnet.ResNet, bank: tuple[int, ...], neighbors: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.memory_bank = nn.Parameter(torch.empty(bank))
        self.neighbors = neighbors

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores, and maps."""
        _, fine, coarse = islice(self.backbone.stages(images), 3)
        grid = fine.shape[2:]
        patches = torch.stack([_averaged(_patches(maps, grid)) for maps in (fine, coarse)], dim=1)
        scores = self._scores(_averaged(patches.flatten(1))).unflatten(0, (len(images), *grid))
        maps = functional.interpolate(scores[:, None], size=images.shape[2:], mode="bilinear", align_corners=False)
        return scores.flatten(1).amax(1), _smooth(maps)[:, 0]

    def _scores(self, patches: Tensor) -> Tensor:
        """(N,) mean squared distance to the nearest of the bank."""
        bank = self.memory_bank.float()
        squares, found = (bank**2).sum(1), []
        for part in patches.split(max(1, LARGEST // len(bank))):
            distances = torch.addmm(squares[None], part, bank.T, alpha=-2).add_((part**2).sum(1, keepdim=True))
            found.append(distances.clamp_(min=0).topk(self.neighbors, dim=1, largest=False).values.mean(1))
        return torch.cat(found)


def _patches(maps: Tensor, grid: torch.Size) -> Tensor:
    """(B grid, C 9) the surroundings of each place, brought to `grid`."""
    seen = functional.unfold(maps, PATCH, padding=PATCH // 2).unflatten(2, maps.shape[2:])
    if seen.shape[2:] != grid:
        seen = functional.interpolate(seen, size=tuple(grid), mode="bilinear", align_corners=False)
    return seen.permute(0, 2, 3, 1).flatten(0, 2)


def _averaged(rows: Tensor) -> Tensor:
    return functional.adaptive_avg_pool1d(rows[:, None], LENGTH)[:, 0]


def _smooth(maps: Tensor) -> Tensor:
    places = torch.arange(-RADIUS, RADIUS + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-0.5 * (places / SIGMA) ** 2)
    kernel = kernel / kernel.sum()
    for shape, axis in (((1, 1, 1, -1), 3), ((1, 1, -1, 1), 2)):
        # The edge is mirrored with its last pixel, which PyTorch's own padding leaves out.
        before = maps.narrow(axis, 0, RADIUS).flip(axis)
        after = maps.narrow(axis, maps.shape[axis] - RADIUS, RADIUS).flip(axis)
        maps = functional.conv2d(torch.cat([before, maps, after], axis), kernel.reshape(shape))
    return maps
