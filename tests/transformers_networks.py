"""Tiny random networks of Transformers with the processors that their repositories have; import only where torch is.

Each entry makes a network and its processor. Processors that need torchvision are written out in `Tensors` with
PyTorch's own resize, which is the one they call; what they prepare is compared with them in `test_hf_config.py`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers as t

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Maker = Callable[[], tuple[Any, Any]]

LABELS = {0: "cat", 1: "dog", 2: "fish"}
NAMED = {"id2label": LABELS, "label2id": {name: index for index, name in LABELS.items()}}
FEATURES = {"out_features": ["stage2", "stage3", "stage4"]}
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1], "layer_type": "basic"}
VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
DETR = {
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "d_model": 16,
    "num_queries": 12,
}
RT_DETR = {
    **{name: value for name, value in DETR.items() if name != "encoder_layers"},
    "encoder_in_channels": [8, 8, 8],
    "decoder_in_channels": [16, 16, 16],
    "encoder_hidden_dim": 16,
    **NAMED,
}
LIGHT = {
    "decoder_self_attention_heads": 2,
    "decoder_cross_attention_heads": 2,
    "decoder_ffn_dim": 16,
    "decoder_layers": 1,
    "num_queries": 12,
    "d_model": 16,
    **NAMED,
}
STAGES = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
DPT = {
    **VIT,
    "num_hidden_layers": 4,
    "image_size": 64,
    "patch_size": 16,
    "backbone_out_indices": [0, 1, 2, 3],
    "neck_hidden_sizes": [8, 8, 8, 8],
    "fusion_hidden_size": 8,
    "readout_type": "project",
}
EDGES = {"shortest_edge": 64, "longest_edge": 100}
SQUARE = {"height": 64, "width": 64}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}

LW_VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 64,
    "pretrain_image_size": 64,
    "num_windows": 4,
    "out_indices": [1, 2],
}
READING = {
    "hidden_size": 18,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "coordinate_size": 3,
    "shape_size": 3,
    "num_classes": 3,
}
ORDER = {"class_thresholds": [0.5] * 3, "class_order": [0, 1, 2], "reading_order_config": READING}


class Tensors:
    """`RfDetrImageProcessor` and others of transformers 5.24 that resize tensors without smoothing."""

    def __init__(self, kind: str, mode: str, mean: list[float], std: list[float], side: int = 64) -> None:
        numbers = {"bilinear": 2, "bicubic": 3}
        self.file = {"image_processor_type": f"{kind}ImageProcessor", "resample": numbers[mode]}
        self.size = (side, side)
        self.file |= {
            "size": {"height": side, "width": side},
            "do_resize": True,
            "do_normalize": True,
            "image_mean": mean,
            "image_std": std,
        }
        self.mode = mode

    def __call__(self, images: Any, return_tensors: str) -> dict[str, torch.Tensor]:
        del return_tensors
        batch = [np.asarray(image) for image in (images if isinstance(images, list) else [images])]
        pixels = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).float()
        pixels = torch.nn.functional.interpolate(pixels, self.size, mode=self.mode, align_corners=False)
        if self.mode == "bicubic":  # whole grey levels, as PP-DocLayout, which resizes before it scales
            pixels = pixels.round().clamp(0, 255)
        mean, std = (torch.tensor(self.file[name])[:, None, None] for name in ("image_mean", "image_std"))
        return {"pixel_values": (pixels / 255 - mean) / std}

    def save_pretrained(self, folder: Path) -> None:
        (folder / "preprocessor_config.json").write_text(json.dumps(self.file))

    @staticmethod
    def post_process_object_detection(outputs: Any, threshold: float, target_sizes: Any) -> list[dict[str, Any]]:
        """Those of the best queries that are above the threshold."""
        (logits,), (boxes,), ((height, width),) = outputs.logits, outputs.pred_boxes, target_sizes
        scores, places = logits.sigmoid().flatten().topk(len(logits))
        queries, labels, kept = places // logits.shape[1], places % logits.shape[1], scores > threshold
        x, y, w, h = (boxes[queries] * torch.tensor([width, height, width, height])).unbind(-1)
        corners = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1)
        return [{"scores": scores[kept], "labels": labels[kept], "boxes": corners[kept]}]

    def post_process_depth_estimation(self, outputs: Any, target_sizes: Any) -> Any:
        """Metres, of Depth Pro."""
        angle = outputs.field_of_view.deg2rad()[:, None, None]
        inverse = (outputs.predicted_depth * 2 * torch.tan(angle / 2))[None]
        inverse = torch.nn.functional.interpolate(inverse, target_sizes[0], mode="bilinear")[0, 0]
        return [{"predicted_depth": 1 / inverse.clamp(1e-4, 1e4)}]

    def post_process_instance_segmentation(self, outputs: Any, threshold: float, target_sizes: Any) -> Any:
        """A mask for each of those, where it has a pixel, resized as logits."""
        scores, places = outputs.logits[0].sigmoid().flatten().topk(outputs.logits.shape[1])
        queries, labels = places // outputs.logits.shape[2], places % outputs.logits.shape[2]
        logits = torch.nn.functional.interpolate(outputs.pred_masks[:, queries], target_sizes[0], mode="bilinear")[0]
        rows = [row for row in range(len(scores)) if scores[row] > threshold and (logits[row] > 0).any()]
        segments = [{"label_id": int(labels[row]), "score": float(scores[row])} for row in rows]
        return [{"segmentation": logits[rows] > 0, "segments_info": segments}]


def resnet_backbone() -> Any:
    return t.ResNetConfig(**RESNET, **FEATURES)


def rt_resnet() -> Any:
    return t.RTDetrResNetConfig(**RESNET, **FEATURES)


def hgnet(*first: str) -> Any:
    """A backbone; `first` are stages whose features it gives besides the last three."""
    stages = ("stage_in_channels", "stage_mid_channels", "stage_out_channels", "hidden_sizes")
    ones = ("stage_num_blocks", "stage_numb_of_layers", "depths")
    sizes = {**dict.fromkeys(stages, [8] * 4), **dict.fromkeys(ones, [1] * 4)}
    return t.HGNetV2Config(
        stem_channels=[3, 8, 8], embedding_size=8, **sizes, out_features=[*first, *FEATURES["out_features"]]
    )


def detectors() -> dict[str, Maker]:
    detr = {"backbone_config": resnet_backbone(), **DETR, **NAMED}
    dab = {**{name: value for name, value in detr.items() if name != "d_model"}, "hidden_size": 16}
    stretched = t.RTDetrImageProcessor(size=SQUARE)
    document = ("bicubic", [0.0] * 3, [1.0] * 3)
    return {
        "detr": lambda: (t.DetrForObjectDetection(t.DetrConfig(**detr)), t.DetrImageProcessor(size=EDGES)),
        "table_transformer": lambda: (
            t.TableTransformerForObjectDetection(t.TableTransformerConfig(**detr)),
            t.DetrImageProcessor(size=EDGES),
        ),
        "conditional_detr": lambda: (
            t.ConditionalDetrForObjectDetection(t.ConditionalDetrConfig(**detr)),
            t.ConditionalDetrImageProcessor(size=EDGES),
        ),
        "dab_detr": lambda: (
            t.DabDetrForObjectDetection(t.DabDetrConfig(**dab)),
            t.ConditionalDetrImageProcessor(size=EDGES),
        ),
        "deformable_detr": lambda: (
            t.DeformableDetrForObjectDetection(t.DeformableDetrConfig(**{**detr, "d_model": 32})),
            t.DeformableDetrImageProcessor(size=EDGES),
        ),
        "lw_detr": lambda: (
            t.LwDetrForObjectDetection(
                t.LwDetrConfig(
                    backbone_config=t.LwDetrViTConfig(**LW_VIT),
                    projector_scale_factors=[1.0],
                    **LIGHT,
                )
            ),
            t.DeformableDetrImageProcessor(size=SQUARE),
        ),
        "rf_detr": lambda: (
            t.RfDetrForObjectDetection(t.RfDetrConfig(backbone_config=rf_detr_backbone(), **LIGHT)),
            Tensors("RfDetr", "bilinear", *IMAGENET.values()),
        ),
        "yolos": lambda: (
            t.YolosForObjectDetection(
                t.YolosConfig(**VIT, image_size=[64, 64], patch_size=16, num_detection_tokens=12, **NAMED)
            ),
            t.YolosImageProcessor(size=EDGES),
        ),
        "rt_detr": lambda: (
            t.RTDetrForObjectDetection(t.RTDetrConfig(backbone_config=rt_resnet(), **RT_DETR)),
            stretched,
        ),
        "rt_detr_v2": lambda: (
            t.RTDetrV2ForObjectDetection(t.RTDetrV2Config(backbone_config=rt_resnet(), **RT_DETR)),
            stretched,
        ),
        "d_fine": lambda: (
            t.DFineForObjectDetection(t.DFineConfig(backbone_config=hgnet(), **RT_DETR)),
            stretched,
        ),
        "deimv2": lambda: (
            t.Deimv2ForObjectDetection(t.Deimv2Config(backbone_config=hgnet(), **RT_DETR)),
            stretched,
        ),
        "pp_doclayout_v2": lambda: (
            t.PPDocLayoutV2ForObjectDetection(t.PPDocLayoutV2Config(backbone_config=hgnet(), **ORDER, **RT_DETR)),
            Tensors("PPDocLayoutV2", *document),
        ),
        "pp_doclayout_v3": lambda: (
            t.PPDocLayoutV3ForObjectDetection(
                t.PPDocLayoutV3Config(backbone_config=hgnet("stage1"), x4_feat_dim=8, **RT_DETR)
            ),
            Tensors("PPDocLayoutV3", *document),
        ),
    }


def rf_detr_backbone() -> Any:
    return t.RfDetrDinov2Config(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=64,
        patch_size=8,
        num_windows=2,
        out_indices=[1, 2],
    )


def segmenters() -> dict[str, Maker]:
    return {
        "rf_detr": lambda: (
            t.RfDetrForInstanceSegmentation(t.RfDetrConfig(backbone_config=rf_detr_backbone(), **LIGHT)),
            Tensors("RfDetr", "bilinear", *IMAGENET.values()),
        ),
    }


def mask_transformers() -> dict[str, Maker]:
    swin = {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 2, "image_size": 64}
    edges = {"shortest_edge": 48, "longest_edge": 100}
    return {
        "mask2former": lambda: (
            t.Mask2FormerForUniversalSegmentation(
                t.Mask2FormerConfig(
                    backbone_config=t.SwinConfig(**swin, **STAGES),
                    feature_size=32,
                    mask_feature_size=32,
                    hidden_dim=32,
                    encoder_feedforward_dim=16,
                    encoder_layers=1,
                    decoder_layers=2,
                    num_attention_heads=2,
                    dim_feedforward=16,
                    num_queries=12,
                    **NAMED,
                )
            ),
            t.Mask2FormerImageProcessor(size=edges),
        ),
        "maskformer": lambda: (
            t.MaskFormerForInstanceSegmentation(
                t.MaskFormerConfig(
                    backbone_config=t.SwinConfig(**swin, **STAGES),
                    decoder_config=t.DetrConfig(backbone_config=resnet_backbone(), **DETR),
                    fpn_feature_size=32,
                    mask_feature_size=32,
                    **NAMED,
                )
            ),
            t.MaskFormerImageProcessor(size=edges, size_divisor=16),
        ),
        "eomt": lambda: (
            t.EomtForUniversalSegmentation(
                t.EomtConfig(
                    **{name: VIT[name] for name in ("hidden_size", "num_hidden_layers", "num_attention_heads")},
                    image_size=64,
                    patch_size=16,
                    num_blocks=1,
                    num_queries=12,
                    num_upscale_blocks=1,
                    **NAMED,
                )
            ),
            t.EomtImageProcessor(size={"shortest_edge": 64, "longest_edge": 64}, do_pad=True),
        ),
    }


def pose_estimators() -> dict[str, Maker]:
    points = {number: f"point {number}" for number in range(5)}
    names = {"id2label": points, "label2id": {name: number for number, name in points.items()}}

    def make(experts: int) -> tuple[Any, Any]:
        sizes = {name: VIT[name] for name in ("hidden_size", "num_hidden_layers", "num_attention_heads")}
        backbone = t.VitPoseBackboneConfig(
            **sizes, image_size=[64, 48], patch_size=[16, 16], num_experts=experts, part_features=4, out_indices=[2]
        )
        config = t.VitPoseConfig(backbone_config=backbone, use_simple_decoder=experts == 1, **names)
        return t.VitPoseForPoseEstimation(config), t.VitPoseImageProcessor(size={"height": 64, "width": 48})

    return {"vitpose": lambda: make(1), "vitpose_plus": lambda: make(2)}


def semantic_segmenters() -> dict[str, Maker]:
    four = {"hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]}
    mobile = {"image_size": 64, "aspp_out_channels": 16, "output_stride": 16, "atrous_rates": [1, 2, 3], **NAMED}
    beit = {**VIT, "num_hidden_layers": 4, "image_size": 64, "patch_size": 16, "pool_scales": [1, 2]}
    beit |= {"use_relative_position_bias": True, "auxiliary_channels": 8, "out_indices": [1, 2, 3, 4], **NAMED}
    convnext = t.ConvNextConfig(**{name: four[name] for name in ("hidden_sizes", "depths")}, **STAGES)
    whole = {"size": SQUARE, "do_center_crop": False}
    return {
        "segformer": lambda: (
            t.SegformerForSemanticSegmentation(t.SegformerConfig(**four, decoder_hidden_size=16, **NAMED)),
            t.SegformerImageProcessor(size=SQUARE),
        ),
        "upernet": lambda: (
            t.UperNetForSemanticSegmentation(
                t.UperNetConfig(
                    backbone_config=convnext, hidden_size=16, auxiliary_in_channels=8, auxiliary_channels=8, **NAMED
                )
            ),
            t.SegformerImageProcessor(size=SQUARE),
        ),
        "mobilevit": lambda: (
            t.MobileViTForSemanticSegmentation(
                t.MobileViTConfig(hidden_sizes=[16] * 3, neck_hidden_sizes=[8] * 7, **mobile)
            ),
            t.MobileViTImageProcessor(**whole),
        ),
        "mobilevitv2": lambda: (
            t.MobileViTV2ForSemanticSegmentation(
                t.MobileViTV2Config(
                    n_attn_blocks=[1, 1, 1], base_attn_unit_dims=[16] * 3, width_multiplier=0.25, **mobile
                )
            ),
            t.MobileViTImageProcessor(size={"shortest_edge": 72}, crop_size=SQUARE),
        ),
        "beit": lambda: (
            t.BeitForSemanticSegmentation(t.BeitConfig(**beit)),
            t.BeitImageProcessor(**whole),
        ),
        "data2vec": lambda: (
            t.Data2VecVisionForSemanticSegmentation(t.Data2VecVisionConfig(**beit)),
            t.BeitImageProcessor(**whole),
        ),
        "dpt_semantic": lambda: (
            t.DPTForSemanticSegmentation(t.DPTConfig(**DPT, **NAMED)),
            t.DPTImageProcessor(size=SQUARE),
        ),
    }


def depth_estimators() -> dict[str, Maker]:
    bins = {"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0, "name": "nyu"}
    zoe = t.BeitConfig(
        **{**VIT, "num_hidden_layers": 4},
        image_size=64,
        patch_size=16,
        use_relative_position_bias=True,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    return {
        "dpt": lambda: (t.DPTForDepthEstimation(t.DPTConfig(**DPT)), t.DPTImageProcessor(size=SQUARE)),
        "depth_anything": lambda: (
            t.DepthAnythingForDepthEstimation(
                t.DepthAnythingConfig(
                    backbone_config=depth_backbone(),
                    reassemble_hidden_size=16,
                    neck_hidden_sizes=[8, 8, 8, 8],
                    fusion_hidden_size=8,
                    head_hidden_size=8,
                )
            ),
            t.DPTImageProcessor(
                size={"height": 56, "width": 56}, keep_aspect_ratio=True, ensure_multiple_of=14, resample=3
            ),
        ),
        "glpn": lambda: (
            t.GLPNForDepthEstimation(
                t.GLPNConfig(
                    hidden_sizes=[8] * 4, depths=[1] * 4, num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=8
                )
            ),
            t.GLPNImageProcessor(),
        ),
        "zoedepth": lambda: (
            t.ZoeDepthForDepthEstimation(
                t.ZoeDepthConfig(
                    backbone_config=zoe,
                    neck_hidden_sizes=[8] * 4,
                    fusion_hidden_size=8,
                    bottleneck_features=8,
                    num_relative_features=8,
                    num_attractors=[4, 2, 2, 1],
                    bin_embedding_dim=8,
                    bin_configurations=[bins],
                )
            ),
            t.ZoeDepthImageProcessor(size=SQUARE, ensure_multiple_of=32),
        ),
        "depth_pro": depth_pro,
    }


def depth_pro() -> tuple[Any, Any]:
    parts = ("patch_model_config", "image_model_config", "fov_model_config")
    config = t.DepthProConfig(
        fusion_hidden_size=8,
        patch_size=64,
        intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[8, 8],
        scaled_images_feature_dims=[8, 8, 8],
        merge_padding_value=1,
        use_fov_model=True,
        **{name: t.Dinov2Config(**VIT, image_size=64, patch_size=16) for name in parts},
    )
    network = t.DepthProForDepthEstimation(config)
    with torch.no_grad():  # values and angles as they may be
        network.head.layers[4].bias.fill_(50)
        network.fov_model.head.layers[-1].bias.fill_(60)
    return network, Tensors("DepthPro", "bilinear", [0.5] * 3, [0.5] * 3, side=256)


def depth_backbone() -> Any:
    return t.Dinov2Config(
        hidden_size=16,
        num_attention_heads=2,
        num_hidden_layers=4,
        image_size=56,
        out_indices=[1, 2, 3, 4],
        apply_layernorm=True,
        reshape_hidden_states=False,
    )
