"""Record what the original projects make of outputs of instance segmenters, as fixtures for tests/decoders.

    python tools/record_instances.py ultralytics|rfdetr tests/decoders/recorded

Run it in an environment of its own that has the project; nothing of the project goes into the fixtures but numbers.
Recorded on 2026-11-27 with ultralytics 8.4.190 and rfdetr 1.11.2, torch 2.14.1.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

FRAME, IMAGE = (96, 128), (125, 200)
"""A letterbox of whole cells: 80x128 pixels of the picture, 8 above and below."""
CLASSES, MAPS, CELLS = 3, 8, (24, 32)


def smooth(rng, *shape):
    values = torch.from_numpy(rng.normal(size=(1, shape[0], 6, 8)).astype(np.float32))
    return torch.nn.functional.interpolate(values, shape[1:], mode="bicubic")[0].half().float()


def rows(rng, count):
    """cx cy w h, class scores, coefficients."""
    size = rng.uniform(8, 70, (count, 2))
    centre = rng.uniform(0, 1, (count, 2)) * FRAME[::-1]
    scores = rng.uniform(0, 1, (count, CLASSES)) ** 6
    coefficients = rng.normal(size=(count, MAPS))
    return torch.from_numpy(np.concatenate([centre, size, scores, coefficients], 1)).half().float()


def ultralytics(folder: Path) -> None:
    from ultralytics.utils import nms, ops

    rng = np.random.default_rng(0)
    prototypes = smooth(rng, MAPS, *CELLS)
    raw = rows(rng, 60).T[None]
    (found,) = nms.non_max_suppression(raw.clone(), 0.25, 0.7, nc=CLASSES, max_det=300)
    stored = found.half().float()
    for name, output, kept in (("raw", raw, found), ("final", stored[None], stored.clone())):
        kept[:, :4] = ops.scale_boxes(FRAME, kept[:, :4], IMAGE)
        masks = ops.process_mask_native(prototypes, kept[:, 6:], kept[:, :4], IMAGE).bool()
        save(folder / f"ultralytics_{name}.npz", [output, prototypes[None]], kept, masks)


def rfdetr(folder: Path) -> None:
    from rfdetr.models.postprocess import PostProcess

    rng = np.random.default_rng(1)
    boxes = torch.from_numpy(np.concatenate([rng.uniform(0, 1, (20, 2)), rng.uniform(0.05, 0.6, (20, 2))], 1))
    logits = torch.from_numpy(rng.normal(-2, 2, (20, CLASSES + 1)))
    outputs = [boxes.half().float()[None], logits.half().float()[None], smooth(rng, 20, *CELLS)[None]]
    raw = dict(zip(("pred_boxes", "pred_logits", "pred_masks"), outputs, strict=True))
    (found,) = PostProcess(num_select=20)(raw, target_sizes=torch.tensor([IMAGE]))
    kept = torch.cat([found["boxes"], found["scores"][:, None], found["labels"][:, None]], 1)
    save(folder / "rfdetr.npz", outputs, kept, found["masks"][:, 0])


def save(path: Path, outputs, found, masks) -> None:
    arrays = {f"output{place}": output.half().numpy() for place, output in enumerate(outputs)}
    bits = np.packbits(masks.numpy())
    np.savez_compressed(path, **arrays, found=found[:, :6].numpy(), bits=bits, shape=masks.shape)


if __name__ == "__main__":
    {"ultralytics": ultralytics, "rfdetr": rfdetr}[sys.argv[1]](Path(sys.argv[2]))
