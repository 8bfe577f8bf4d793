"""Record what networks of other libraries answer with weights drawn by name, as fixtures for tests/networks.

    python tools/record_networks.py tests/networks/recorded

Run it in an environment of its own with segmentation-models-pytorch, timm and PyTorch; nothing is fetched. For each
network `NAME.json.gz`: the shapes of its tensors by name, and the logits for `drawn("images", ...)`, of maps every
eighth along each side.
Recorded on 2026-11-27 with segmentation-models-pytorch 0.6.0, timm 1.0.31, torch 2.14.1.
"""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import segmentation_models_pytorch
import timm
import torch

ENCODERS = {"resnet18": 3, "resnext50_32x4d": 1, "mobilenet_v2": 3}
"""And how many channels their pictures have."""
BACKBONES = ("vit_small_patch16_dinov3.lvd1689m", "vit_small_plus_patch16_dinov3_qkvb.lvd1689m")
CLASSES = 4


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers that depend on the name alone, of a size that keeps activations apart."""
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) > 1:
        return draw.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    return draw.uniform(0.5, 1.5, shape).astype(np.float32)


class Probe(torch.nn.Module):
    """As packages of the training platform hold it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.backbone = timm.create_model(name, pretrained=False)
        self.linear_layer = torch.nn.Linear(self.backbone.embed_dim, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear_layer(self.backbone.forward_features(images)[:, 0])


def record(network: torch.nn.Module, images: tuple[int, ...], path: Path) -> None:
    """Write what `network` answers."""
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items() if tensor.ndim}
    state = {key: torch.from_numpy(drawn(key, shape)) for key, shape in shapes.items()}
    network.eval().load_state_dict(state, strict=False)
    with torch.no_grad():
        logits = network(torch.from_numpy(drawn("images", images)))
    logits = logits[..., ::8, ::8] if logits.ndim == 4 else logits
    print(path.name, logits.shape, float(logits.std()), flush=True)
    fixture = {"shapes": shapes, "images": images, "logits": np.round(logits.double().numpy(), 6).tolist()}
    path.write_bytes(gzip.compress(json.dumps(fixture, separators=(",", ":")).encode(), mtime=0))


def main(folder: Path) -> None:
    """Write all files."""
    for name, channels in ENCODERS.items():
        network = segmentation_models_pytorch.DeepLabV3Plus(
            encoder_name=name, encoder_weights=None, in_channels=channels, classes=CLASSES
        )
        record(network, (2, channels, 64, 96), folder / f"deep_lab_{name}.json.gz")
    for name in BACKBONES:
        record(Probe(name), (2, 3, 64, 96), folder / f"{name.partition('.')[0]}.json.gz")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
