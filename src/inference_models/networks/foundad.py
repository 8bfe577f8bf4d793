"""FoundAD: how far features of a DINOv3 are from those that a small network predicts for a normal picture.

Written from the paper, arXiv 2510.01934, with the settings of the training platform: one layer of a DINOv3 of timm
(below `encoder.backbone.`), a predictor of 12 heads (below `predictor.`), the mean of the largest distances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from inference_models.errors import CorruptedModelPackageError
from inference_models.networks import dinov3_probe
from inference_models.networks.dinov3_probe import PATCHES, REGISTERS, Hidden

if TYPE_CHECKING:
    from collections.abc import Mapping

    Shapes = Mapping[str, tuple[int, ...]]

ENCODER, PREDICTOR = "encoder.backbone.", "predictor."
EMBED = f"{PREDICTOR}predictor_embed.weight"
HEADS = 12


def build(shapes: Shapes, stated: Mapping[str, Any]) -> FoundAD:
    """The network that weights of these `shapes` belong to, not trained.

    Raises:
        CorruptedModelPackageError: they are not those of FoundAD, or its settings do not fit its pictures.
    """
    inside = {name.removeprefix(ENCODER): shape for name, shape in shapes.items() if name.startswith(ENCODER)}
    patches, layer, top = inside.get(PATCHES, ()), int(stated.get("feature_layer", 1)), int(stated.get("top_k", 1))
    if len(patches) != 4 or len(inside.get(REGISTERS, ())) != 3 or len(shapes.get(EMBED, ())) != 2:
        needs, found = f"{ENCODER}{PATCHES} and {EMBED}", ", ".join(sorted(shapes)[:3])
        raise CorruptedModelPackageError("the weights are not those of FoundAD.", needs=needs, found=found)
    side, depth = int(stated.get("image_size", 512)), len({name.split(".")[1] for name in inside if "blocks." in name})
    if side % patches[3] or top > (side // patches[3]) ** 2 or layer > depth:
        raise CorruptedModelPackageError(
            "the settings of FoundAD do not fit its network.",
            needs=f"an image_size in steps of {patches[3]}, a top_k within its patches, a feature_layer up to {depth}",
            found=f"image_size {side}, top_k {top}, feature_layer {layer}",
        )
    return FoundAD(inside, shapes, depth - layer + 1, top)


class FoundAD(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Images (B, 3, H, W) to scores (B,) and maps of them (B, H, W)."""

    def __init__(self, encoder: Shapes, shapes: Shapes, blocks: int, top: int) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"backbone": dinov3_probe.Backbone(encoder)})
        self.predictor = Predictor(shapes)
        self.blocks, self.top, self.patch = blocks, top, encoder[PATCHES][3]
        self.others = 1 + encoder[REGISTERS][1]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores, and maps."""
        features = self.encoder["backbone"](images, self.blocks)[:, self.others :]
        distances = ((features - self.predictor(features)) ** 2).mean(2)
        size = images.shape[2:]
        grid = distances.unflatten(1, (size[0] // self.patch, size[1] // self.patch))
        maps = functional.interpolate(grid[:, None], size=size, mode="bilinear", align_corners=False)
        return distances.topk(self.top, dim=1).values.mean(1), maps[:, 0]


class Predictor(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Features (B, N, D) to those of a normal picture."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        width, given = shapes[EMBED]
        start = f"{PREDICTOR}predictor_blocks."
        blocks = {name[len(start) :].partition(".")[0] for name in shapes if name.startswith(start)}
        hidden = shapes.get(f"{start}0.mlp.fc1.weight", (4 * width,))[0]
        self.predictor_embed = nn.Linear(given, width)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))  # of the training alone
        self.predictor_blocks = nn.ModuleList(PredictorBlock(width, hidden) for _ in blocks)
        self.predictor_norm = nn.LayerNorm(width, eps=1e-6)
        self.predictor_proj = nn.Linear(width, given)

    def forward(self, features: Tensor) -> Tensor:
        """(B, N, D)."""
        start = tokens = self.predictor_embed(features)
        for block in self.predictor_blocks:
            tokens = block(tokens) + start
        return self.predictor_proj(self.predictor_norm(tokens))


class PredictorBlock(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Attention, then hidden layers, each added."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = Hidden(width, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, D)."""
        parts = self.attn["qkv"](self.norm1(tokens)).chunk(3, -1)
        heads = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
        mixed = functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        tokens = tokens + self.attn["proj"](mixed)
        return tokens + self.mlp(self.norm2(tokens))
