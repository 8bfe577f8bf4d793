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

    def __init__(self, kind: str, mode: str, mean: list[float], std: list[float]) -> None:
        numbers = {"bilinear": 2, "bicubic": 3}
        self.file = {"image_processor_type": f"{kind}ImageProcessor", "size": SQUARE, "resample": numbers[mode]}
        self.file |= {"do_resize": True, "do_normalize": True, "image_mean": mean, "image_std": std}
        self.mode = mode

    def __call__(self, images: Any, return_tensors: str) -> dict[str, torch.Tensor]:
        del return_tensors
        batch = [np.asarray(image) for image in (images if isinstance(images, list) else [images])]
        pixels = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).float()
        pixels = torch.nn.functional.interpolate(pixels, (64, 64), mode=self.mode, align_corners=False)
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


def map_networks() -> dict[str, Maker]:
    dpt = {**VIT, "num_hidden_layers": 4, "image_size": 64, "patch_size": 16, "backbone_out_indices": [0, 1, 2, 3]}
    neck = {"neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8, "readout_type": "project"}
    return {
        "segformer": lambda: (
            t.SegformerForSemanticSegmentation(
                t.SegformerConfig(
                    hidden_sizes=[8, 8, 8, 8],
                    depths=[1, 1, 1, 1],
                    num_attention_heads=[1, 1, 2, 2],
                    decoder_hidden_size=16,
                    **NAMED,
                )
            ),
            t.SegformerImageProcessor(size={"height": 64, "width": 64}),
        ),
        "dpt": lambda: (
            t.DPTForDepthEstimation(t.DPTConfig(**dpt, **neck)),
            t.DPTImageProcessor(size={"height": 64, "width": 64}),
        ),
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
    }
