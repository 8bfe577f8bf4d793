#!/usr/bin/env python3
"""Record what rfdetr makes of made-up outputs of a key-point graph: tests/decoders/recorded/query_points.json.

Run it where rfdetr (Apache-2.0) is installed; the numbers are in the repository, so that tests need neither.
"""

from __future__ import annotations

import json
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from rfdetr.models.postprocess import PostProcess

COUNTS = [3, 0, 2]
"""Key points of each class."""
QUERIES, COLUMNS, SIZE = 12, 5, (200, 300)
TARGET = Path(__file__).resolve().parent.parent / "tests" / "decoders" / "recorded" / "query_points.json"


def main() -> None:
    generator = np.random.default_rng(7)
    slots = len(COUNTS) * max(COUNTS)
    outputs = {
        "pred_boxes": generator.uniform(0.2, 0.6, (1, QUERIES, 4)),
        "pred_logits": generator.normal(-1, 2, (1, QUERIES, COLUMNS)),
        "pred_keypoints": np.concatenate(
            [generator.uniform(0.1, 0.9, (1, QUERIES, slots, 2)), generator.normal(0, 1.5, (1, QUERIES, slots, 6))], -1
        ),
    }
    rounded = {name: np.round(array, 4).astype(np.float32) for name, array in outputs.items()}
    process = PostProcess(num_select=QUERIES * COLUMNS, num_keypoints_per_class=COUNTS)
    (found,) = process({name: torch.from_numpy(array) for name, array in rounded.items()}, torch.tensor([SIZE]))
    recorded = {
        "made_by": f"rfdetr {version('rfdetr')}, torch {torch.__version__}, {date.today().isoformat()}",
        "counts": COUNTS,
        "size": SIZE,
        "outputs": {name: np.round(array.astype(np.float64), 4).tolist() for name, array in rounded.items()},
        "found": {name: np.round(array.numpy().astype(np.float64), 6).tolist() for name, array in found.items()},
    }
    TARGET.write_text(json.dumps(recorded).replace("NaN", "null") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
