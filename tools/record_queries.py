"""Record what the projects make of outputs of detection transformers, as fixtures for tests/families.

    python tools/record_queries.py transformers|ultralytics tests/families/recorded

Run it in an environment of its own that has the project; nothing of the project goes into the fixtures but numbers.
Recorded on 2026-11-27 with transformers 5.24.0 and ultralytics 8.4.190, torch 2.14.1, torchvision 0.29.1.
`NAME_found` (n, 6): x1 y1 x2 y2 in pixels of the picture, score, class, above 0.3, best first. `NAME_size`, and
`NAME_corner` (3, 4, 4): what the image processor makes of the picture, in part.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

IMAGE, QUERIES, CLASSES = (125, 200), 20, 3
COLUMNS = {"RTDetr": CLASSES, "Detr": CLASSES + 1, "Yolos": CLASSES + 1}
"""Image processor to the columns of its logits."""
PICTURE = np.random.default_rng(0).integers(0, 255, (*IMAGE, 3), np.uint8)
"""Red first."""


def boxes(rng) -> np.ndarray:
    centre, size = rng.uniform(0.2, 0.8, (QUERIES, 2)), rng.uniform(0.05, 0.4, (QUERIES, 2))
    return np.concatenate([centre, size], 1).astype(np.float32)


def processed(name: str) -> dict[str, np.ndarray]:
    import transformers

    processor, rng = getattr(transformers, f"{name}ImageProcessorPil")(), np.random.default_rng(COLUMNS[name])
    raw = {"pred_boxes": boxes(rng)[None], "logits": rng.normal(-1, 2, (1, QUERIES, COLUMNS[name])).astype(np.float32)}
    outputs = SimpleNamespace(**{key: torch.from_numpy(value) for key, value in raw.items()})
    (found,) = processor.post_process_object_detection(outputs, threshold=0.3, target_sizes=torch.tensor([IMAGE]))
    rows = torch.cat([found["boxes"], found["scores"][:, None], found["labels"][:, None]], 1).numpy()
    pixels = processor(Image.fromarray(PICTURE), return_tensors="np")["pixel_values"][0]
    facts = {"found": rows[np.argsort(-rows[:, 4], kind="stable")], "size": np.array(pixels.shape[1:])}
    return {**raw, **facts, "corner": pixels[:, :4, :4]}


def transformers(folder: Path) -> None:
    arrays = {f"{name}_{key}": value for name in COLUMNS for key, value in processed(name).items()}
    np.savez_compressed(folder / "queries.npz", **arrays)


def ultralytics(folder: Path) -> None:
    from ultralytics.models.rtdetr.predict import RTDETRPredictor

    rng = np.random.default_rng(1)
    score = np.sort(rng.uniform(0, 1, (QUERIES, 1)), axis=0)[::-1]
    rows = np.concatenate([boxes(rng), score, rng.integers(0, CLASSES, (QUERIES, 1))], 1).astype(np.float32)
    predictor = SimpleNamespace(
        args=SimpleNamespace(conf=0.3, classes=None, max_det=300),
        batch=[["picture.jpg"]],
        model=SimpleNamespace(names={number: str(number) for number in range(CLASSES)}),
    )
    (found,) = RTDETRPredictor.postprocess(predictor, torch.from_numpy(rows)[None], None, [PICTURE])
    np.savez_compressed(folder / "query_rows.npz", rows=rows[None], found=found.boxes.data.numpy())


if __name__ == "__main__":
    {"transformers": transformers, "ultralytics": ultralytics}[sys.argv[1]](Path(sys.argv[2]))
