"""Record the shapes of the weights of tiny ResNets of timm, and what they answer, for tests/families/test_resnet.py.

    python tools/record_resnets.py tests/families/recorded/resnets.json

Run it in an environment of its own with timm. Weights and images are not stored: both sides draw them by name.
Recorded on 2026-11-27 with timm 1.0.31, torch 2.14.1.
"""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
from timm.models.resnet import BasicBlock, Bottleneck, ResNet

CHANNELS = (4, 4, 8, 8)
NETWORKS = {
    "basic": {"block": BasicBlock, "layers": [2, 1, 1, 1]},
    "bottleneck": {"block": Bottleneck, "layers": [1, 2, 1, 1]},
    "groups": {"block": Bottleneck, "layers": [1, 1, 1, 1], "cardinality": 2, "base_width": 32},
}


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Weights of normal size, other numbers around 1; float32."""
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) > 1:
        return draw.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    return draw.uniform(0.5, 1.5, shape).astype(np.float32)


def main() -> None:
    """Write the file that is named."""
    recorded = {}
    images = torch.from_numpy(drawn("images", (2, 3, 64, 64)))
    for name, sizes in NETWORKS.items():
        network = ResNet(**sizes, channels=CHANNELS, num_classes=5).eval()
        shapes = {key: list(value.shape) for key, value in network.state_dict().items() if value.ndim}
        state = {key: torch.from_numpy(drawn(key, tuple(shape))) for key, shape in shapes.items()}
        network.load_state_dict(state, strict=False)
        with torch.no_grad():
            recorded[name] = {"shapes": shapes, "logits": network(images).tolist()}
    Path(sys.argv[1]).write_text(json.dumps(recorded) + "\n")


if __name__ == "__main__":
    main()
