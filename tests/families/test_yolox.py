from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnxruntime
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from inference_models.decoders.types import BoxLimits
from inference_models.families import find_graph

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 416


def letterbox(image):
    """The padded network input and its scale, as YOLOX prepares it."""
    scale = min(SIDE / image.shape[0], SIDE / image.shape[1])
    resized = cv2.resize(image, (int(image.shape[1] * scale), int(image.shape[0] * scale)))
    canvas = np.full((SIDE, SIDE, 3), 114, np.uint8)
    canvas[: resized.shape[0], : resized.shape[1]] = resized
    return canvas.transpose(2, 0, 1)[None].astype(np.float32), scale


def ground_truth(photos: list[Path], sizes):
    images, annotations = [], []
    for index, (photo, (height, width)) in enumerate(zip(photos, sizes, strict=True)):
        images.append({"id": index, "height": height, "width": width})
        labels = photo.parent.parent / "detection" / f"{photo.stem}.txt"
        for line in labels.read_text().splitlines() if labels.exists() else []:
            class_id, cx, cy, w, h = map(float, line.split())
            box = [(cx - w / 2) * width, (cy - h / 2) * height, w * width, h * height]
            entry = {"id": len(annotations) + 1, "image_id": index, "category_id": int(class_id), "bbox": box}
            annotations.append(entry | {"area": box[2] * box[3], "iscrowd": 0})
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i} for i in range(80)],
    }
    truth.createIndex()
    return truth


def average_precision(truth, detections):
    """AP and AP50 of pycocotools."""
    evaluation = COCOeval(truth, truth.loadRes(detections), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[:2]


def coco_rows(index, boxes, scale, size):
    xyxy = np.clip(boxes.xyxy.astype(float) / scale, 0, [size[1], size[0]] * 2)
    for (x1, y1, x2, y2), class_id, score in zip(xyxy, boxes.class_id, boxes.confidence, strict=True):
        bbox = [x1, y1, x2 - x1, y2 - y1]
        yield {"image_id": index, "category_id": int(class_id), "score": float(score), "bbox": bbox}


def test_the_average_precision_on_128_photographs_is_the_published_one(shared_data: Path):
    session = onnxruntime.InferenceSession(str(shared_data / "yolox_nano.onnx"), providers=["CPUExecutionProvider"])
    decoder = find_graph("yolox", "object-detection").decoder
    limits = BoxLimits(confidence=0.01, iou=0.6, max_detections=300)
    photos = sorted((shared_data / "coco128" / "images").glob("*.jpg"))
    detections, sizes = [], []
    for index, photo in enumerate(photos):
        image = cv2.imread(str(photo))
        blob, scale = letterbox(image)
        (boxes,) = decoder.decode(session.run(None, {"images": blob}), (SIDE, SIDE), limits)
        detections += coco_rows(index, boxes, scale, image.shape[:2])
        sizes.append(image.shape[:2])
    with contextlib.redirect_stdout(io.StringIO()):
        ap, ap50 = average_precision(ground_truth(photos, sizes), detections)
    assert len(photos) == 128
    # pycocotools 2.0: measured 0.3379 and 0.5003 (onnxruntime 1.32).
    assert ap == pytest.approx(0.339, abs=0.003)
    assert ap50 == pytest.approx(0.501, abs=0.003)
