"""The two stages around the graph, each against OpenCV's own function in the same run.

python benchmarks/bench_stages.py
"""

from __future__ import annotations

import cv2
import numpy as np
from timing import paired_ratio, table

from inference_models.decoders.boxes import ANCHOR_FREE
from inference_models.decoders.types import BoxLimits
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode
from inference_models.preprocess.compile import compile_spec
from inference_models.preprocess.inputs import load_images

ANCHORS, CLASSES, SIDE = 8400, 80, 640
LIMITS = BoxLimits(confidence=0.4, iou=0.3, max_detections=300)


def main() -> None:
    rows = [("1920x1080 to 640x640, letterbox, RGB, /255", *preprocessing(), "")]
    for name, scores, promise in (
        ("8400 anchors, 80 classes, dense random scores", dense(), "< 6 ms"),
        ("8400 anchors, 80 classes, 60 above the threshold", sparse(), ""),
    ):
        rows.append((name, *decoding(scores), promise))
    print(table(rows, ("stage", "ours ms", "OpenCV ms", "ratio", "promise")))


def preprocessing() -> tuple[str, str, str]:
    image = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    spec = PreprocessSpec(size=(SIDE, SIDE), resize=ResizeMode.LETTERBOX, pad_value=114, scaling_factor=255)
    compiled = compile_spec(spec)

    def ours() -> None:
        with compiled(load_images(image)):
            pass

    def theirs() -> None:
        cv2.dnn.blobFromImage(image, 1 / 255, (SIDE, SIDE), swapRB=True)

    return formatted(*paired_ratio(ours, theirs, rounds=100))


def decoding(output: np.ndarray) -> tuple[str, str, str]:
    def ours() -> None:
        ANCHOR_FREE.decode([output], (SIDE, SIDE), LIMITS)

    def theirs() -> None:
        columns = output[0]
        best = columns[4:].max(axis=0)
        passing = np.flatnonzero(best > LIMITS.confidence)
        box = columns[:4, passing].T
        corners = np.concatenate([box[:, :2] - box[:, 2:] / 2, box[:, 2:]], axis=1)
        classes = columns[4:, passing].argmax(axis=0)
        cv2.dnn.NMSBoxesBatched(corners, best[passing], classes, LIMITS.confidence, LIMITS.iou)

    return formatted(*paired_ratio(ours, theirs, rounds=40))


def dense() -> np.ndarray:
    generator = np.random.default_rng(1)
    output = generator.random((1, 4 + CLASSES, ANCHORS), np.float32)
    output[:, :2] *= SIDE
    output[:, 2:4] = output[:, 2:4] * 60 + 4
    return output


def sparse() -> np.ndarray:
    output = dense()
    output[:, 4:] *= 0.3
    chosen = np.random.default_rng(2).choice(ANCHORS, 60, replace=False)
    output[0, 4 + np.arange(60) % CLASSES, chosen] = 0.9
    return output


def formatted(ours: float, theirs: float, ratio: float) -> tuple[str, str, str]:
    return f"{ours:.2f}", f"{theirs:.2f}", f"{ratio:.2f}"


if __name__ == "__main__":
    main()
