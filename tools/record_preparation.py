"""Records what image processors of transformers and timm make of pictures, for `tests/package/test_hf_config.py`.

Run it where both are installed with torchvision: `python tools/record_preparation.py`. Of each prepared picture it
keeps the shape and the numbers at `PLACES` places.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import transformers
from timm.data import create_transform, resolve_data_config
from torchvision.transforms.functional import to_pil_image

TARGET = Path(__file__).parents[1] / "tests/package/recorded/preparation.npz"
PLACES = 40
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
SIZES = [(301, 402), (500, 333), (97, 64), (40, 211), (256, 256)]
DETR = {"size": {"shortest_edge": 90, "longest_edge": 150}, **IMAGENET}
PROCESSORS = [
    ("ViT", {"size": 224, "resample": 2, **HALF}),
    ("ViT", {"size": {"height": 96, "width": 160}, "resample": 3, **IMAGENET, "rescale_factor": 1 / 127.5}),
    ("ViT", {"size": 65, "resample": 5, **HALF}),
    ("ConvNext", {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3, **IMAGENET}),
    ("ConvNext", {"size": {"shortest_edge": 384}, "resample": 3, **IMAGENET}),
    ("CLIP", {"size": {"shortest_edge": 256}, "crop_size": 224, "resample": 3, **HALF}),
    ("CLIP", {"size": {"shortest_edge": 60}, "crop_size": 51, "resample": 3, **HALF}),
    ("CLIP", {"size": {"shortest_edge": 60}, "crop_size": {"height": 91, "width": 53}, "resample": 5, **HALF}),
    (
        "Bit",
        {
            "size": {"shortest_edge": 256},
            "crop_size": {"height": 224, "width": 193},
            "resample": 2,
            "do_rescale": False,
            "do_normalize": False,
        },
    ),
    ("MobileNetV2", {"size": {"shortest_edge": 71}, "crop_size": 64, "resample": 2, **HALF}),
    ("MobileViT", {"size": {"shortest_edge": 288}, "crop_size": {"height": 256, "width": 256}, "resample": 2}),
    (
        "DeiT",
        {"size": {"height": 256, "width": 256}, "crop_size": {"height": 224, "width": 224}, "resample": 3, **HALF},
    ),
    ("DeiT", {"size": {"height": 75, "width": 90}, "crop_size": {"height": 64, "width": 64}, "resample": 3, **HALF}),
    ("Siglip", {"size": {"height": 192, "width": 192}, "resample": 1, **HALF}),
    ("Pvt", {"size": {"height": 100, "width": 80}, "resample": 4, **IMAGENET}),
    ("Beit", {"size": {"height": 256, "width": 200}, "resample": 0, "do_center_crop": False, **HALF}),
    ("Detr", DETR),
    ("Detr", {"size": {"height": 80, "width": 100}, "resample": 3, **IMAGENET}),
    ("ConditionalDetr", DETR),
    ("DeformableDetr", DETR),
    ("Yolos", DETR),
    ("Yolos", {"size": {"shortest_edge": 64, "longest_edge": 100}, **IMAGENET}),
    ("RTDetr", {"size": {"height": 160, "width": 128}, "do_pad": False}),
    ("RTDetr", {**DETR, "do_normalize": True}),
    ("DepthPro", {"size": {"height": 96, "width": 96}, "resample": 2, **HALF}),
    ("GLPN", {"resample": 2, "size_divisor": 32}),
    ("GLPN", {"resample": 3, "do_normalize": True, "size_divisor": 16, **IMAGENET}),
    ("ZoeDepth", {"size": {"height": 96, "width": 128}, "resample": 2, "ensure_multiple_of": 32, **HALF}),
    (
        "ZoeDepth",
        {
            "size": {"height": 97, "width": 128},
            "resample": 2,
            "do_pad": False,
            "keep_aspect_ratio": False,
            "ensure_multiple_of": 4,
            **IMAGENET,
        },
    ),
    ("RfDetr", {"size": {"height": 96, "width": 128}, "resample": 2, **IMAGENET}),
    ("RfDetr", {**DETR, "resample": 3}),
    (
        "PPDocLayoutV2",
        {"size": {"height": 100, "width": 120}, "resample": 3, "image_mean": [0] * 3, "image_std": [1] * 3},
    ),
    ("PPDocLayoutV3", {"size": {"height": 80, "width": 80}, "resample": 2, **IMAGENET}),
    ("Segformer", {"size": {"height": 128, "width": 96}, "do_reduce_labels": True, **IMAGENET}),
    ("DPT", {"size": {"height": 96, "width": 96}, "resample": 3, **HALF}),
    ("DPT", {"size": {"height": 100, "width": 81}, "resample": 2, "ensure_multiple_of": 32, **HALF}),
    (
        "DPT",
        {
            "size": {"height": 126, "width": 126},
            "resample": 3,
            "ensure_multiple_of": 14,
            "keep_aspect_ratio": True,
            **IMAGENET,
        },
    ),
    (
        "DPT",
        {"size": {"height": 64, "width": 150}, "resample": 3, "keep_aspect_ratio": True, "do_pad": True, **IMAGENET},
    ),
]
TIMM = [
    {"input_size": [3, 224, 224], "interpolation": "bicubic", "crop_pct": 0.95, "crop_mode": "center"},
    {"input_size": [3, 224, 224]},
    {"input_size": [3, 160, 160], "interpolation": "bilinear", "crop_pct": 1.0, "crop_mode": "squash"},
    {"input_size": [3, 192, 128], "interpolation": "bicubic", "crop_pct": 0.9, "crop_mode": "squash"},
    {"input_size": [3, 96, 96], "interpolation": "hamming", "crop_pct": 0.9},
    {"input_size": [3, 96, 128], "interpolation": "bicubic", "crop_pct": 0.9, "crop_mode": "center"},
    {"input_size": [3, 131, 64], "interpolation": "bilinear", "crop_pct": 0.875},
    {"input_size": [3, 96, 96], "interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "border"},
    {"input_size": [3, 97, 120], "interpolation": "bilinear", "crop_pct": 0.8, "crop_mode": "border"},
]


def picture(height: int, width: int) -> np.ndarray:
    """Waves so short that they vanish when a resize smooths, and turn into others when it does not."""
    y, x = np.mgrid[:height, :width]
    red = 127 + 60 * np.sin(x / 2.3) * np.cos(y / 3.1)
    return np.stack([red, red[::-1], 255 - red], -1).round().astype(np.uint8)


def prepared(name: str, file: dict, image: np.ndarray) -> np.ndarray:
    """(C, H, W) as the network takes it."""
    if name == "TimmWrapper":
        transform = create_transform(**resolve_data_config(file["pretrained_cfg"], model=None, verbose=False))
        return transform(to_pil_image(image)).numpy()
    kinds = (getattr(transformers, f"{name}ImageProcessor{end}", None) for end in ("Pil", ""))
    processor = next(filter(None, kinds))(**file)  # of torchvision where there is none of Pillow
    return np.asarray(processor(image, return_tensors="np", input_data_format="channels_last")["pixel_values"][0])


def main() -> None:
    """Write the fixture."""
    torch.set_num_threads(1)
    cases, arrays = [], []
    for name, file in PROCESSORS + [("TimmWrapper", {"pretrained_cfg": config}) for config in TIMM]:
        for size in SIZES:
            array = prepared(name, file, picture(*size))
            flat = array.reshape(-1)
            arrays.append(flat[np.arange(PLACES) * 104_729 % flat.size].astype(np.float32))
            cases.append({"processor": name, "file": file, "size": size, "shape": array.shape})
    versions = {name: version(name) for name in ("transformers", "timm", "pillow", "torchvision")}
    TARGET.parent.mkdir(exist_ok=True)
    np.savez_compressed(TARGET, cases=json.dumps(cases), versions=json.dumps(versions), values=np.array(arrays))
    print(len(cases), TARGET.stat().st_size, versions)


if __name__ == "__main__":
    main()
