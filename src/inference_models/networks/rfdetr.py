"""RF-DETR in the network of Transformers (5.24), from the weights of rfdetr 1.11: detection, instances, semantics.

Widths, depths, heads of the classes and the grid of positions are read from the shapes of the weights. What no shape
tells - windows, and which layers of the encoder are looked at - is that of the size of the project: the one that is
named (`rfdetr-nano`), else the only one with such shapes. What the training wrote down wins over both.
Semantic networks, of the training platform, are the encoder, blocks as those of instances, and a layer of classes.
Source: roboflow/rf-detr, Apache-2.0 (sizes up to large). Paper: arXiv 2511.09554.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn, ones

from inference_models.backends.runtime import first_line
from inference_models.errors import BaseInferenceModelsError, CorruptedModelPackageError, MissingDependencyError
from inference_models.networks.named import names_in_files
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    Shapes = Mapping[str, tuple[int, ...]]

NEEDS = "transformers>=5.24"
ENCODER = "backbone.0.encoder.encoder."
PATCHES = f"{ENCODER}embeddings.patch_embeddings.projection.weight"
POSITIONS = f"{ENCODER}embeddings.position_embeddings"
MASK_STRIDE = 4
"""Pixels of the input for one of a mask, along each side."""


class Size(Record, frozen=True):
    """What tells the sizes of the project apart."""

    patch: int
    grid: int
    """Patches along a side of the input it was trained with."""
    windows: int
    """Along a side, for attention."""
    layers: int
    """Of the decoder; of a semantic network, its blocks."""
    queries: int = 300
    looked_at: tuple[int, ...] = (3, 6, 9, 12)
    """Layers of the encoder, the first being 1."""


SIZES = {
    "rfdetr-nano": Size(16, 24, 2, 2),
    "rfdetr-small": Size(16, 32, 2, 3),
    "rfdetr-medium": Size(16, 36, 2, 4),
    "rfdetr-base": Size(14, 37, 4, 3, looked_at=(2, 5, 8, 11)),
    "rfdetr-large": Size(16, 44, 2, 4),
    "rfdetr-xlarge": Size(20, 35, 1, 5),
    "rfdetr-2xlarge": Size(20, 44, 2, 5),
    "rfdetr-seg-preview": Size(12, 36, 2, 4, 200),
    "rfdetr-seg-nano": Size(12, 26, 1, 4, 100),
    "rfdetr-seg-small": Size(12, 32, 2, 4, 100),
    "rfdetr-seg-medium": Size(12, 36, 2, 5, 200),
    "rfdetr-seg-large": Size(12, 42, 2, 5, 200),
    "rfdetr-seg-xlarge": Size(12, 52, 2, 6),
    "rfdetr-seg-2xlarge": Size(12, 64, 2, 6),
    "rfdetr-sem-nano": Size(12, 26, 2, 1, 0),
    "rfdetr-sem-small": Size(12, 32, 2, 1, 0),
    "rfdetr-sem-medium": Size(12, 36, 2, 1, 0),
    "rfdetr-sem-large": Size(20, 25, 1, 1, 0),
    "rfdetr-sem-xlarge": Size(20, 28, 1, 2, 0),
    "rfdetr-sem-2xlarge": Size(20, 44, 1, 2, 0),
}
_OTHER_NAMES = {"rfdetr-seg-xxlarge": "rfdetr-seg-2xlarge", "rfdetr-xxlarge": "rfdetr-2xlarge"}

_RULES = (
    (r"^(model\.)+", ""),
    (r"^backbone\.backbone\.", ENCODER),
    (r"^backbone\.projector\.projector_layer\.bottlenecks\.", "backbone.0.projector.stages.0.0.m."),
    (r"^backbone\.projector\.projector_layer\.", "backbone.0.projector.stages.0.0."),
    (r"^backbone\.projector\.layer_norm\.", "backbone.0.projector.stages.0.1."),
    (r"(projector\..*)\.conv(\d)\.conv\.", r"\1.cv\2.conv."),
    (r"(projector\..*)\.conv(\d)\.norm\.", r"\1.cv\2.bn."),
    (r"\.attention\.q_proj\.", ".attention.attention.query."),
    (r"\.attention\.k_proj\.", ".attention.attention.key."),
    (r"\.attention\.v_proj\.", ".attention.attention.value."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
    (r"^decoder\.layernorm\.", "decoder.norm."),
    (r"^(decoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.norm1."),
    (r"^(decoder\.layers\.\d+)\.cross_attn_layer_norm\.", r"\1.norm2."),
    (r"^(decoder\.layers\.\d+)\.layer_norm\.", r"\1.norm3."),
    (r"^(decoder\.layers\.\d+)\.mlp\.fc(\d)\.", r"\1.linear\2."),
    (r"\.self_attn\.o_proj\.", ".self_attn.out_proj."),
    (r"\.self_attn\.[qkv]_proj\.", ".self_attn.in_proj_"),
    (r"^(decoder\.|enc_out)", r"transformer.\1"),
    (r"^reference_point_embed\.", "refpoint_embed."),
    (r"^query_features_block\.mlp\.fc1\.", "query_features_block.layers.0."),
    (r"^query_features_block\.mlp\.fc2\.", "query_features_block.layers.2."),
    (r"^query_features_block\.norm\.", "query_features_block.norm_in."),
    (r"^(blocks\.\d+)\.layernorm\.", r"\1.norm."),
    (r"^(blocks\.\d+)\.depthwise_conv\.", r"\1.dwconv."),
    (r"^(blocks\.\d+)\.pointwise_conv\.", r"\1.pwconv1."),
    (r"^segmentation_bias$", "bias"),
    (r"^(blocks\.|query_features_|spatial_features_|bias$)", r"segmentation_head.\1"),
)
"""From the names of Transformers to those of the file, one after the other; parts of one tensor get one name."""


def build(shapes: Shapes, stated: Mapping[str, Any]) -> nn.Module:
    """The network that weights of these `shapes` belong to, not trained.

    Raises:
        CorruptedModelPackageError: they are not those of RF-DETR, or not those of the size that is named.
        MissingDependencyError: Transformers is not installed, or has no RF-DETR.
    """
    if len(shapes.get(PATCHES, ())) != 4 or len(shapes.get(POSITIONS, ())) != 3:
        raise _foreign(f"{PATCHES} and {POSITIONS}", ", ".join(sorted(shapes)[:3]))
    size, library = _size(shapes, stated), _library()
    try:
        config = _config(library, shapes, size, stated)
        if "semantic_embed.weight" in shapes:
            return Semantic(library, config, shapes)
        return Queries(library, config, has_masks="segmentation_head.bias" in shapes)
    except BaseInferenceModelsError:
        raise
    except Exception as exc:  # Transformers and huggingface_hub refuse values with classes of their own
        raise _foreign("weights that Transformers can build a network for", first_line(exc)) from exc


class Loaded(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """What its subclasses share about files of weights."""

    left_out = frozenset({"_kp_active_mask"})
    """Of key points alone; empty in the files of others."""
    names_in_files: Mapping[str, tuple[str, ...]]


class Queries(Loaded):
    """Images (B, 3, H, W) to logits (B, Q, C), boxes (B, Q, 4) cx cy w h and, with masks, (B, Q, H / 4, W / 4)."""

    def __init__(self, library: Any, config: Any, *, has_masks: bool) -> None:
        super().__init__()
        kind = library.RfDetrForInstanceSegmentation if has_masks else library.RfDetrForObjectDetection
        self.network = kind(config)
        self.names_in_files = names_in_files(self, _RULES)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Predictions by name."""
        answer = self.network(images)
        names = ("pred_boxes", "logits", "pred_masks")
        return {name: answer[name] for name in names if answer.get(name) is not None}


class Semantic(Loaded):
    """Images (B, 3, H, W) to logits (B, C, H / 4, W / 4)."""

    def __init__(self, library: Any, config: Any, shapes: Shapes) -> None:
        super().__init__()
        width = config.d_model
        blocks = (library.RfDetrSegmentationBlock(config) for _ in range(config.decoder_layers))
        parts = {
            "backbone": library.RfDetrConvEncoder(config),
            "blocks": nn.ModuleList(blocks),
            "spatial_features_proj": nn.Conv2d(width, width, 1),
            "semantic_embed": nn.Conv2d(width, shapes["semantic_embed.weight"][0], 1),
        }
        self.network = nn.ModuleDict(parts)
        self.names_in_files = names_in_files(self, _RULES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        batch, _, height, width = images.shape
        maps, _ = self.network["backbone"](images, ones((batch, height, width), device=images.device))
        target = (height // MASK_STRIDE, width // MASK_STRIDE)
        maps = nn.functional.interpolate(maps, size=target, mode="bilinear", align_corners=False)
        for block in self.network["blocks"]:
            maps = block(maps)
        return self.network["semantic_embed"](self.network["spatial_features_proj"](maps))


def _library() -> Any:
    try:
        return importlib.import_module("transformers.models.rf_detr.modeling_rf_detr")
    except ImportError as exc:
        raise MissingDependencyError(
            "weights of RF-DETR are put into the network of Transformers.",
            needs=NEEDS,
            found=first_line(exc),
            fix=f'pip install "{NEEDS}"',
        ) from exc


def _size(shapes: Shapes, stated: Mapping[str, Any]) -> Size:
    """The size of the project that has these shapes, with what the training states instead."""
    named = str(stated.get("model_type") or "").replace("_", "-")
    named = _OTHER_NAMES.get(named, named)
    patch, grid = shapes[PATCHES][3], int((shapes[POSITIONS][1] - 1) ** 0.5)
    kind = next(
        (f"{k}-" for k, n in (("sem", "semantic_embed.weight"), ("seg", "segmentation_head.bias")) if n in shapes), ""
    )
    layers = _count(shapes, "segmentation_head.blocks." if kind == "sem-" else "transformer.decoder.layers.")
    of_kind = {name: size for name, size in SIZES.items() if _kind(name) == kind}
    alike = {name: size for name, size in of_kind.items() if (size.patch, size.layers) == (patch, layers)}
    if named in SIZES and named not in alike:
        size = SIZES[named]
        raise CorruptedModelPackageError(
            f"the weights are not those of {named}.",
            needs=f"patches of {size.patch} pixels and {size.layers} layers{_words(_kind(named))}",
            found=f"patches of {patch} pixels and {layers} layers{_words(kind)}",
            fix="leave model_type out, or name the one these weights were trained with",
        )
    exact = [size for size in alike.values() if size.grid == grid]
    found = [alike[named]] if named in alike else exact or list(alike.values())
    ways = {(size.windows, size.looked_at) for size in found}
    windows, looked_at = _whole(stated.get("num_windows")), stated.get("out_feature_indexes")
    if windows and isinstance(looked_at, list) and looked_at and all(map(_whole, looked_at)):
        return Size(patch, grid, windows, layers, looked_at=tuple(looked_at))
    if len(ways) == 1:
        return found[0]
    raise CorruptedModelPackageError(
        f"the weights may be those of {', '.join(alike) or 'no size of RF-DETR'}.",
        needs="a size whose windows are known" if alike else "patches and layers of a known size",
        found=f"patches of {patch} pixels, {grid} of them along a side, and {layers} layers{_words(kind)}",
        fix=f"pass model_type={next(iter(alike))!r}, or another of them" if alike else "export it to ONNX with rfdetr",
    )


def _kind(name: str) -> str:
    found = re.match(r"rfdetr-(seg-|sem-)", name)
    return found[1] if found else ""


def _words(kind: str) -> str:
    return {"": " for boxes", "seg-": " with masks", "sem-": " for semantic segmentation"}[kind]


def _config(library: Any, shapes: Shapes, size: Size, stated: Mapping[str, Any]) -> Any:
    width = shapes[PATCHES][0]
    groups = max(1, _count(shapes, "transformer.enc_output."))
    queries = shapes.get("refpoint_embed.weight", (groups,))[0] // groups
    model = shapes.get("backbone.0.projector.stages.0.1.weight", (256,))[0]
    points = shapes.get("transformer.decoder.layers.0.cross_attn.attention_weights.weight", (32,))[0]
    heads = _whole(stated.get("ca_nheads")) or (32 if width > 384 else 16)
    if "backbone.0.projector.stages.1.1.weight" in shapes:
        raise _foreign("features of one scale (backbone.0.projector.stages.0)", "those of several")
    encoder = library.RfDetrDinov2Config(
        hidden_size=width,
        num_hidden_layers=_count(shapes, f"{ENCODER}encoder.layer."),
        num_attention_heads=width // 64,
        mlp_ratio=max(1, shapes.get(f"{ENCODER}encoder.layer.0.mlp.fc1.weight", (4 * width,))[0] // width),
        image_size=size.patch * int((shapes[POSITIONS][1] - 1) ** 0.5),
        patch_size=size.patch,
        num_windows=size.windows,
        out_indices=list(size.looked_at),
        use_mask_token=f"{ENCODER}embeddings.mask_token" in shapes,
    )
    return library.RfDetrConfig(
        backbone_config=encoder,
        d_model=model,
        decoder_layers=size.layers,
        decoder_self_attention_heads=_whole(stated.get("sa_nheads")) or (16 if width > 384 else 8),
        decoder_cross_attention_heads=heads,
        decoder_n_points=max(1, points // heads),
        decoder_ffn_dim=shapes.get("transformer.decoder.layers.0.linear1.weight", (2048,))[0],
        num_queries=queries,
        group_detr=groups,
        num_labels=shapes.get("class_embed.bias", (1,))[0],
        c2f_num_blocks=_count(shapes, "backbone.0.projector.stages.0.0.m."),
        intermediate_size=shapes.get("segmentation_head.query_features_block.layers.0.weight", (1024,))[0],
        mask_downsample_ratio=MASK_STRIDE,
    )


def _whole(value: object) -> int:
    """`value`, where it is a number that something can be repeated; else 0."""
    return value if type(value) is int and value > 0 else 0


def _count(shapes: Shapes, start: str) -> int:
    """Numbers that follow `start` in the names."""
    return len({name[len(start) :].partition(".")[0] for name in shapes if name.startswith(start)})


def _foreign(needs: str, found: str) -> CorruptedModelPackageError:
    return CorruptedModelPackageError(
        "the weights are not those of an RF-DETR that can be built here.",
        needs=needs,
        found=found,
        fix="export the model to ONNX with rfdetr, and load that",
    )
