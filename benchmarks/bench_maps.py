"""From maps of a network to those of a 1920x1080 picture, on one core: depth, ready class ids, logits of 19 classes.

python benchmarks/bench_maps.py             ours
python benchmarks/bench_maps.py --public    the public library of the same interface, in an environment that has it

Logits are those of 40 regions around random points, sure inside and unsure at borders, with noise; at worst every cell
is noise alone. The network input is a letterbox of 640x640, or of 512x512 with logits of 128x128. Scores are computed
when an answer is asked for them: a line of its own. Times are of the processor, medians. On
2026-11-27, on one core of an AMD EPYC that others used as well, ours and the public library 0.39.6: depth 7 and 7 ms,
class ids 7 (no counterpart), logits 11 and 648; surer than 0.5 25, with scores 278, at worst 185.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import cv2
import numpy as np

PICTURE = (1080, 1920)
CLASSES, REPEATS = 19, 15
NAMES = [f"class {number}" for number in range(CLASSES)]


def logits(side: int = 128) -> np.ndarray:
    """(1, 19, side, side)."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    points = random.uniform(0, side, (40, 2))
    distance = (y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2
    labels = random.integers(0, CLASSES, 40)[distance.argmin(-1)]
    sure = [cv2.blur((labels == number) * np.float32(10), (3, 3)) for number in range(CLASSES)]
    noise = random.normal(0, 1, (CLASSES, side // 4, side // 4)).astype(np.float32)
    return np.stack([one + cv2.resize(other, (side, side)) for one, other in zip(sure, noise, strict=True)])[None]


def noise() -> np.ndarray:
    """(1, 19, 128, 128), no two cells alike."""
    return np.random.default_rng(0).normal(0, 1, (1, CLASSES, 128, 128)).astype(np.float32)


def depth() -> np.ndarray:
    """(1, 640, 640)."""
    coarse = np.random.default_rng(0).uniform(1, 9, (20, 20)).astype(np.float32)
    return cv2.resize(coarse, (640, 640))[None]


CASES = {
    "depth": ("yolo26", "depth-estimation", depth, 640),
    "class ids": ("yolo26", "semantic-segmentation", lambda: logits(640).argmax(1).astype(np.float32), 640),
    "logits": ("segformer", "semantic-segmentation", logits, 512),
    "logits, surer than 0.5": ("segformer", "semantic-segmentation", logits, 512),
    "logits and scores": ("segformer", "semantic-segmentation", logits, 512),
    "logits, at worst": ("segformer", "semantic-segmentation", noise, 512),
}


def ours(case: str):
    """What is timed."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    import graphs
    from inference_models import AutoModel

    architecture, task, output, side = CASES[case]
    path = graphs.constant_outputs(
        Path(tempfile.mkdtemp()) / "weights.onnx", size=(side, side), outputs={"output0": output()}
    )
    network = {
        "training_input_size": {"height": side, "width": side},
        "dynamic_spatial_size_supported": False,
        "color_mode": "rgb",
        "resize_mode": "letterbox",
        "input_channels": 3,
    }
    (path.parent / "inference_config.json").write_text(json.dumps({"network_input": network}))
    (path.parent / "class_names.txt").write_text("\n".join(NAMES))
    stated = {"model_architecture": architecture, "task_type": task, "backend_type": "onnx"}
    (path.parent / "model_config.json").write_text(json.dumps(stated))
    model = AutoModel.from_pretrained(str(path.parent), backend="onnx", threads=1)
    inputs, ways = model.pre_process(np.zeros((*PICTURE, 3), np.uint8))
    raw = model.forward(inputs)
    if "scores" in case:
        return lambda: model.post_process(raw, ways)[0].confidence
    options = {"confidence": 0.5} if "0.5" in case else {}
    return lambda: model.post_process(raw, ways, **options)


def public(case: str):
    """The same of the public library."""
    import torch
    from inference_models.models.common.roboflow import post_processing as module
    from inference_models.models.common.roboflow.model_packages import PreProcessingMetadata, StaticCropOffset

    from inference_models.entities import ImageDimensions

    torch.set_num_threads(1)
    _, _, output, side = CASES[case]
    scale = side / PICTURE[1]
    pad = (side - int(PICTURE[0] * scale)) // 2
    whole = ImageDimensions(*PICTURE)
    metadata = PreProcessingMetadata(
        pad_left=0, pad_top=pad, pad_right=0, pad_bottom=pad, original_size=whole, size_after_pre_processing=whole,
        inference_size=ImageDimensions(side, side), scale_width=scale, scale_height=scale,
        static_crop_offset=StaticCropOffset(0, 0, PICTURE[1], PICTURE[0]),
    )  # fmt: skip
    results, cpu = torch.from_numpy(output()), torch.device("cpu")
    if case == "depth":
        return lambda: module.post_process_depth_estimation_map(results, [metadata], cpu)
    return lambda: module.post_process_semantic_segmentation_logits(results, [metadata], NAMES, -1, cpu, 0.5, None, 0.5)


def main() -> None:
    make = public if "--public" in sys.argv else ours
    print("| map | ms |\n|---|---|")
    for case in CASES:
        if make is public and case not in {"depth", "logits", "logits, at worst"}:
            continue
        call = make(case)
        call()
        times = []
        for _ in range(REPEATS if make is ours else 5):
            start = time.process_time()
            call()
            times.append((time.process_time() - start) * 1e3)
        print(f"| {case} | {median(times):.1f} |", flush=True)


if __name__ == "__main__":
    main()
