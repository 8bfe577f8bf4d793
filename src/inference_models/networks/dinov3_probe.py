"""DINOv3 (a vision transformer with rotary positions) and a linear layer on its class token: classification.

Written from the paper, arXiv 2508.10104, and arXiv 2104.09864 for the positions; the names of the parameters are those
of timm 1.0 (`vit_*_patch16_dinov3`, Apache-2.0) below `backbone.`, and `linear_layer.`. Widths, depth and the kind of
the hidden layers are read from the shapes of the weights.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from inference_models.errors import CorruptedModelPackageError, ModelImplementationNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    Shapes = Mapping[str, tuple[int, ...]]

BACKBONE = "backbone."
PATCHES, REGISTERS = "patch_embed.proj.weight", "reg_token"
LAYER = "linear_layer"
WIDTHS = {"tiny": 192, "small": 384, "base": 768, "large": 1024, "huge": 1280, "7b": 4096}
NAMES = re.compile(rf"vit_(?P<size>{'|'.join(WIDTHS)})(?P<plus>_plus)?_patch16_dinov3(?P<bias>_qkvb)?(\.\w+)?")
"""Of timm."""
TEMPERATURE = 100.0
"""The longest period of the positions, in halves of a picture."""
_WIDE_HEADS = 4096
"""Networks of this width have heads of 128 numbers, others of 64."""


def build(shapes: Shapes, stated: Mapping[str, Any]) -> Probe:
    """The network that weights of these `shapes` belong to, not trained.

    Raises:
        ModelImplementationNotFoundError: the package names another backbone.
        CorruptedModelPackageError: the weights are not those of one, or others than the package states.
    """
    inside = {name.removeprefix(BACKBONE): shape for name, shape in shapes.items() if name.startswith(BACKBONE)}
    classes, patches = shapes.get(f"{LAYER}.weight", ()), inside.get(PATCHES, ())
    if len(classes) != 2 or len(patches) != 4 or len(inside.get(REGISTERS, ())) != 3:
        raise _other(f"{LAYER}.weight, {BACKBONE}{PATCHES} and {BACKBONE}{REGISTERS}", ", ".join(sorted(shapes)[:3]))
    named = stated.get("model_name")
    if named is not None:
        _refuse_other_backbone(inside, str(named))
    if stated.get("num_classes", classes[0]) != classes[0]:
        raise _other(f"num_classes {stated['num_classes']}", f"{LAYER}.weight for {classes[0]}")
    return Probe(inside, classes[0])


def _refuse_other_backbone(shapes: Shapes, named: str) -> None:
    known = NAMES.fullmatch(named)
    if known is None:
        raise ModelImplementationNotFoundError(
            "the backbone of the network is none that can be built here.",
            needs="a name of timm such as vit_small_patch16_dinov3.lvd1689m",
            found=ascii(named)[:80],
            fix="export the model to ONNX, and load that",
        )
    width, is_gated = shapes[PATCHES][0], "blocks.0.mlp.fc1_g.weight" in shapes
    if (width, is_gated) != (WIDTHS[known["size"]], known["plus"] is not None or known["size"] == "7b"):
        size = next((name for name, other in WIDTHS.items() if other == width), f"{width} wide")
        raise _other(f"those of {named}", f"those of a {size} network{' with gates' if is_gated else ''}")


class Probe(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Images (B, 3, H, W), sides multiples of the patches, to logits (B, classes)."""

    def __init__(self, shapes: Shapes, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone(shapes)
        self.linear_layer = nn.Linear(shapes[PATCHES][0], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return self.linear_layer(self.backbone(images)[:, 0])


class Backbone(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Images to tokens (B, 1 + registers + patches, D): that of the class, of no place, and of the patches by rows."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        width, colours, side, _ = shapes[PATCHES]
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.reg_token = nn.Parameter(torch.empty(shapes[REGISTERS]))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(colours, width, side, side)})
        blocks = {name.split(".")[1] for name in shapes if name.startswith("blocks.")}
        hidden = next(
            (s[0] for n, s in shapes.items() if n in {f"blocks.0.mlp.{k}.weight" for k in ("fc1", "fc1_x")}), 1
        )
        kind = Gated if "blocks.0.mlp.fc1_g.weight" in shapes else Hidden
        has_bias = "blocks.0.attn.q_bias" in shapes
        self.blocks = nn.ModuleList(Block(width, kind(width, hidden), has_bias=has_bias) for _ in blocks)
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.head = 128 if width == _WIDE_HEADS else 64

    def forward(self, images: Tensor, blocks: int | None = None) -> Tensor:
        """The tokens behind the first `blocks`, or behind all, normalised."""
        maps = self.patch_embed["proj"](images)
        batch, (height, width) = len(maps), maps.shape[2:]
        places = _turns(height, width, self.head, images.device)
        first = (self.cls_token.expand(batch, -1, -1), self.reg_token.expand(batch, -1, -1))
        tokens = torch.cat([*first, maps.flatten(2).transpose(1, 2)], dim=1)
        for block in self.blocks[:blocks]:
            tokens = block(tokens, places)
        return self.norm(tokens)


class Block(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Attention, then hidden layers, each scaled and added."""

    def __init__(self, width: int, hidden: nn.Module, *, has_bias: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-5), nn.LayerNorm(width, eps=1e-5)
        self.gamma_1, self.gamma_2 = nn.Parameter(torch.empty(width)), nn.Parameter(torch.empty(width))
        self.attn = Attention(width, has_bias=has_bias)
        self.mlp = hidden

    def forward(self, tokens: Tensor, places: tuple[Tensor, Tensor]) -> Tensor:
        """(B, N, D)."""
        tokens = tokens + self.gamma_1 * self.attn(self.norm1(tokens), places)
        return tokens + self.gamma_2 * self.mlp(self.norm2(tokens))


class Attention(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Of every token to all; queries and keys of patches are turned by their places."""

    def __init__(self, width: int, *, has_bias: bool) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.q_bias = nn.Parameter(torch.empty(width)) if has_bias else None
        self.v_bias = nn.Parameter(torch.empty(width)) if has_bias else None

    def forward(self, tokens: Tensor, places: tuple[Tensor, Tensor]) -> Tensor:
        """(B, N, D)."""
        queries, keys, values = self.qkv(tokens).chunk(3, -1)
        if self.q_bias is not None:
            queries, values = queries + self.q_bias, values + self.v_bias
        size = places[0].shape[-1]
        queries, keys, values = (part.unflatten(-1, (-1, size)).transpose(1, 2) for part in (queries, keys, values))
        mixed = nn.functional.scaled_dot_product_attention(_turned(queries, places), _turned(keys, places), values)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class Hidden(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Two layers."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, D)."""
        return self.fc2(nn.functional.gelu(self.fc1(tokens)))


class Gated(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """Two layers, the first with a gate."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1_g, self.fc1_x, self.fc2 = (nn.Linear(*sides) for sides in ((width, hidden),) * 2 + ((hidden, width),))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, D)."""
        return self.fc2(nn.functional.silu(self.fc1_g(tokens)) * self.fc1_x(tokens))


def _turns(height: int, width: int, head: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine (patches, head) of the angles of each patch, whose centre lies in -1 to 1 along both axes."""
    rows, columns = (2 * (torch.arange(side, device=device) + 0.5) / side - 1 for side in (height, width))
    centres = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).flatten(0, 1)
    periods = TEMPERATURE ** (torch.arange(head // 4, device=device) * 4 / head)
    angles = (2 * math.pi * centres[:, :, None] / periods).flatten(1).tile(2)
    return angles.cos(), angles.sin()


def _turned(parts: Tensor, places: tuple[Tensor, Tensor]) -> Tensor:
    """(B, heads, N, head) with the last of N, the patches, turned: halves of a head are the two axes of a plane."""
    cosine, sine = places
    others = parts.shape[2] - len(cosine)
    patches = parts[:, :, others:]
    first, second = patches.chunk(2, -1)
    turned = patches * cosine + torch.cat([-second, first], -1) * sine
    return torch.cat([parts[:, :, :others], turned.to(parts.dtype)], dim=2)


def _other(needs: str, found: str) -> CorruptedModelPackageError:
    return CorruptedModelPackageError(
        "the weights are not those of a DINOv3 with a layer of classes, as the package states it.",
        needs=needs,
        found=found,
        fix="correct model_initialization in inference_config.json, or fetch the package again",
    )
