"""Record what rfdetr answers with weights drawn by name, as fixtures for tests/networks/test_rfdetr.py.

    python tools/record_rfdetr_weights.py tests/networks/recorded

Run it in an environment of its own with rfdetr; nothing is fetched. `rfdetr_shapes.json.gz`: the tensors of the network
of every size, by name and shape. `rfdetr_calls.npz`: for some sizes what `predict` makes of one picture with the
weights of `drawn`: rows x1 y1 x2 y2, score, class, best first, and the packed masks of the first rows.
Recorded on 2026-11-27 with rfdetr 1.11.2, torch 2.14.1.
"""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import rfdetr
import torch
from PIL import Image
from rfdetr.models.backbone.dinov2_with_windowed_attn import WindowedDinov2WithRegistersBackbone

SIZES = {
    "rfdetr-nano": "RFDETRNano",
    "rfdetr-small": "RFDETRSmall",
    "rfdetr-medium": "RFDETRMedium",
    "rfdetr-base": "RFDETRBase",
    "rfdetr-large": "RFDETRLarge",
    "rfdetr-seg-preview": "RFDETRSegPreview",
    "rfdetr-seg-nano": "RFDETRSegNano",
    "rfdetr-seg-small": "RFDETRSegSmall",
    "rfdetr-seg-medium": "RFDETRSegMedium",
    "rfdetr-seg-large": "RFDETRSegLarge",
    "rfdetr-seg-xlarge": "RFDETRSegXLarge",
    "rfdetr-seg-2xlarge": "RFDETRSeg2XLarge",
}
CALLED = ("rfdetr-nano", "rfdetr-base", "rfdetr-seg-nano", "rfdetr-seg-small")
CLASSES = 3
IMAGE = (125, 200)


def picture() -> np.ndarray:
    """(H, W, 3) uint8, red first: soft blobs, as photographs have them."""
    coarse = Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8))
    return np.asarray(coarse.resize(IMAGE[::-1], Image.Resampling.BICUBIC))


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers that depend on the name alone, of a size that keeps answers apart."""
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) > 1:
        return draw.normal(0, max(1, np.prod(shape[1:])) ** -0.5, shape).astype(np.float32)
    centre = 1.0 if name.endswith(("norm.weight", "norm1.weight", "norm2.weight", "norm3.weight", "bn.weight")) else 0.0
    return (centre + draw.normal(0, 0.2, shape)).astype(np.float32)


def main(folder: Path) -> None:
    """Write both files."""
    encoder = WindowedDinov2WithRegistersBackbone
    encoder.from_pretrained = classmethod(lambda cls, _, config, **__: cls(config))  # nothing is fetched
    shapes, calls = {}, {}
    for name, kind in SIZES.items():
        model = getattr(rfdetr, kind)(pretrain_weights=None, num_classes=CLASSES, device="cpu")
        network = model.model.model
        state = network.state_dict()
        shapes[name] = {key: list(tensor.shape) for key, tensor in state.items()}
        print(name, len(state), flush=True)
        print([key for key, tensor in state.items() if not tensor.numel()])
        if name not in CALLED:
            continue
        network.load_state_dict({key: torch.from_numpy(drawn(key, tuple(t.shape))) for key, t in state.items()})
        found = model.predict(Image.fromarray(picture()), threshold=0.0)
        rows = np.concatenate([found.xyxy, found.confidence[:, None], found.class_id[:, None]], 1)
        order = np.argsort(-rows[:, 4], kind="stable")
        print(rows[order[:5]], rows[:, 4].min(), flush=True)
        calls[name] = rows[order].astype(np.float32)
        if found.mask is not None:
            calls[f"{name} masks"] = np.packbits(found.mask[order[:10]])
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(shapes, separators=(",", ":"))
    (folder / "rfdetr_shapes.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    np.savez_compressed(folder / "rfdetr_calls.npz", **calls)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
