"""Record what `yolo predict` answers for made-up outputs of key-point and oriented-box heads.

Run it as `python tools/record_yolo_heads.py PATH/TO/yolo`, the command of an installation of its own; it is AGPL-3.0:
nothing of it is imported, copied or kept, and the graphs are constants, made here. Writes
tests/decoders/recorded/yolo_heads.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import graphs  # noqa: E402 - after the path is set

TARGET = ROOT / "tests" / "decoders" / "recorded" / "yolo_heads.json"
CLASSES, POINTS, ANCHORS, SIDE = 3, 4, 60, 64
CONFIDENCE, IOU = 0.3, 0.45
PICTURES = {"pose": (96, 128), "obb": (128, 128)}
"""(height, width); for oriented boxes a square: the upstream scales their sides as if they were upright."""


def outputs(task: str, generator: np.random.Generator) -> np.ndarray:
    """(1, rows, ANCHORS), boxes inside the picture."""
    centre, size = generator.uniform(14, 50, (2, ANCHORS)), generator.uniform(6, 26, (2, ANCHORS))
    centre[:, ::2] = centre[:, 1::2] + generator.normal(0, 1.5, (2, ANCHORS // 2))  # half of them lie on another one
    size[:, ::2] = size[:, 1::2] + generator.normal(0, 1, (2, ANCHORS // 2))
    scores = generator.uniform(0, 1, (CLASSES, ANCHORS)) ** 2
    if task == "obb":
        rest = generator.uniform(-np.pi / 4, 3 * np.pi / 4, (1, ANCHORS))
        rest[:, ::2] = rest[:, 1::2] + generator.normal(0, 0.05, (1, ANCHORS // 2))
    else:
        points = centre[None] + generator.normal(0, 6, (POINTS, 2, ANCHORS))
        rest = np.concatenate([points, generator.uniform(0, 1, (POINTS, 1, ANCHORS))], axis=1).reshape(-1, ANCHORS)
    return np.round(np.concatenate([centre, size, scores, rest])[None], 4).astype(np.float32)


def answer(yolo: str, task: str, output: np.ndarray, folder: Path) -> list[list[float]]:
    """The rows of the text file that `yolo predict` writes: class, coordinates as parts of the picture, score."""
    picture = folder / "picture.png"
    cv2.imwrite(str(picture), np.full((*PICTURES[task], 3), 90, np.uint8))
    said = {
        "description": f"Ultralytics YOLOv8n-{task} model",
        "task": task,
        "names": str({number: f"class {number}" for number in range(CLASSES)}),
        "stride": "32",
        "imgsz": f"[{SIDE}, {SIDE}]",
        "batch": "1",
        "channels": "3",
        "end2end": "False",
        **({"kpt_shape": f"[{POINTS}, 3]"} if task == "pose" else {}),
    }
    graph = graphs.constant_outputs(
        folder / f"{task}.onnx", size=(SIDE, SIDE), outputs={"output0": output}, metadata=said
    )
    options = {"model": graph, "source": picture, "imgsz": SIDE, "conf": CONFIDENCE, "iou": IOU, "rect": False}
    options |= {"save_txt": True, "save_conf": True, "project": folder, "name": task}
    subprocess.run([yolo, task, "predict", *(f"{key}={value}" for key, value in options.items())], check=True)
    text = (folder / task / "labels" / "picture.txt").read_text()
    return [[float(value) for value in line.split()] for line in text.splitlines()]


def main() -> None:
    yolo = sys.argv[1]
    release = subprocess.run([yolo, "version"], check=True, capture_output=True, text=True).stdout.split()[-1]
    recorded: dict[str, object] = {
        "made_by": f"ultralytics {release}, {date.today().isoformat()}",
        "confidence": CONFIDENCE,
        "iou": IOU,
        "side": SIDE,
    }
    with tempfile.TemporaryDirectory() as folder:
        for seed, task in enumerate(PICTURES):
            output = outputs(task, np.random.default_rng(seed))
            rows = answer(yolo, task, output, Path(folder))
            values = np.round(output.astype(np.float64), 4).tolist()
            recorded[task] = {"picture": PICTURES[task], "output": values, "found": rows}
    TARGET.write_text(json.dumps(recorded) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
