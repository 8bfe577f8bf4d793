"""Median time to decode one (1, 84, 8400) YOLOv8 output, and its suppression beside OpenCV's on the same candidates.

OpenCV has no limit on the boxes it keeps, so it does more of a dense output than the 300 best.

python benchmarks/bench_nms.py
"""

from __future__ import annotations

import time
from statistics import median

import cv2
import numpy as np

from inference_models.decoders.boxes import ANCHOR_FREE
from inference_models.decoders.nms import nms
from inference_models.decoders.types import BoxLimits

FRAME = (640, 640)
LIMITS = BoxLimits(confidence=0.4, iou=0.3, max_detections=300)
REPEATS = 50


def dense(rng):
    """Every anchor passes, as a badly trained model or an adversary would have it."""
    output = rng.random((1, 84, 8400), dtype=np.float32)
    output[0, :4] *= np.array([[640], [640], [192], [192]], np.float32)
    return output


def sparse(rng):
    """20 objects with some 10 good anchors each; all other scores are low."""
    output = dense(rng)
    output[0, 4:] *= 0.05
    for objects in rng.choice(8400, (20, 10), replace=False):
        output[0, :4, objects] = output[0, :4, objects[0]] + rng.normal(0, 2, (10, 4))
        output[0, 4 + rng.integers(80), objects] = rng.uniform(0.5, 0.95, 10)
    return output


def candidates(output):
    columns = output[0]
    columns = columns[:, columns[4:].max(axis=0) > LIMITS.confidence]
    corner = columns[:2] - columns[2:4] / 2
    boxes = np.concatenate([corner, columns[2:4]]).T.astype(np.float64)
    return boxes, columns[4:].max(axis=0), columns[4:].argmax(axis=0).astype(np.int32)


def milliseconds(call):
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times) * 1e3


def main():
    cv2.setNumThreads(1)
    print(f"{'case':<8}{'candidates':>11}{'kept':>6}{'decode':>10}{'our NMS':>10}{'cv2 NMS':>10}{'cv2 / ours':>12}")
    for name, make in (("dense", dense), ("sparse", sparse)):
        output = make(np.random.default_rng(0))
        (found,) = ANCHOR_FREE.decode([output], FRAME, LIMITS)
        xywh, scores, classes = candidates(output)
        xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1).astype(np.float32)
        decode = milliseconds(lambda o=output: ANCHOR_FREE.decode([o], FRAME, LIMITS))
        ours = milliseconds(lambda b=xyxy, s=scores, c=classes: nms(b, s, c, iou=0.3, max_detections=300))
        theirs = milliseconds(lambda b=xywh, s=scores, c=classes: cv2.dnn.NMSBoxesBatched(b, s, c, 0.4, 0.3))
        figures = f"{decode:>7.2f} ms{ours:>7.2f} ms{theirs:>7.2f} ms{theirs / ours:>12.1f}"
        print(f"{name:<8}{len(scores):>11}{len(found.anchor):>6}{figures}")


if __name__ == "__main__":
    main()
