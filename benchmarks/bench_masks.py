"""From outputs of a YOLO segmenter to masks: time on one core, and memory above the model.

python benchmarks/bench_masks.py             ours
python benchmarks/bench_masks.py --public    the public library of the same interface, in an environment that has it

Objects are boxes of about 15 % of the width of the picture, each with a smooth mask; the network input is 640x640.
Times are of the processor, since both use one thread; medians. On 2026-11-27, on one core of an AMD EPYC that others
used as well, ours and the public library 0.39.6: 1080p, 20 as run lengths 8 and 247 ms, 100 as run lengths 41 and 1281
ms, 100 dense 52 and 1522 ms; 4K, 100 as run lengths 57 and 4224 ms.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

NETWORK, CELLS, MAPS = 640, 160, 32
PICTURES = {"1080p": (1080, 1920), "4K": (2160, 3840)}
CASES = [
    ("1080p", 20, "rle"),
    ("1080p", 100, "rle"),
    ("1080p", 100, "dense"),
    ("1080p", 100, "polygons"),
    ("4K", 100, "rle"),
]
REPEATS = 15


def outputs(count: int, seed: int = 0) -> list[np.ndarray]:
    """Rows (1, count, 6 + MAPS) and prototypes (1, MAPS, CELLS, CELLS)."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(MAPS, 12, 12))
    steps = np.linspace(0, 10.99, CELLS)
    low, part = steps.astype(int), steps % 1
    down = coarse[:, low] * (1 - part)[:, None] + coarse[:, low + 1] * part[:, None]
    prototypes = down[..., low] * (1 - part) + down[..., low + 1] * part
    size = rng.uniform(0.5, 1.5, (count, 2)) * 0.15 * NETWORK
    corner = rng.uniform(0, 1, (count, 2)) * (NETWORK - size) * (1, 0.5) + (0, NETWORK / 4)
    rows = np.concatenate(
        [
            corner,
            corner + size,
            rng.uniform(0.5, 1, (count, 1)),
            rng.integers(0, 3, (count, 1)),
            rng.normal(size=(count, MAPS)),
        ],
        axis=1,
    )
    return [rows[None].astype(np.float32), prototypes[None].astype(np.float32)]


def ours(size: tuple[int, int], count: int, form: str):
    """What is timed, and what it is called on."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    import graphs
    from inference_models import AutoModel

    folder = Path(tempfile.mkdtemp())
    named = dict(zip(("output0", "output1"), outputs(count), strict=True))
    metadata = {
        "task": "segment",
        "names": "['a', 'b', 'c']",
        "end2end": "True",
        "description": "Ultralytics YOLO26n-seg",
    }
    path = graphs.constant_outputs(folder / "m.onnx", size=(NETWORK, NETWORK), outputs=named, metadata=metadata)
    model = AutoModel.from_pretrained(path, backend="onnx", threads=1)
    inputs, ways = model.pre_process(np.zeros((*size, 3), np.uint8))
    raw = model.forward(inputs)
    return lambda: model.post_process(raw, ways, confidence=0.1, masks=form)


def public(size: tuple[int, int], count: int, form: str):
    """The same of the public library: its functions for a YOLOv8 graph with the suppression inside."""
    import torch
    from inference_models.models.base.instance_segmentation import InstanceDetections  # noqa: F401 - fails early
    from inference_models.models.common.roboflow.model_packages import PreProcessingMetadata, StaticCropOffset
    from inference_models.models.common.roboflow.post_processing import post_process_nms_fused_model_output
    from inference_models.models.yolov8 import yolov8_instance_segmentation_onnx as module

    from inference_models.entities import ImageDimensions

    torch.set_num_threads(1)
    rows, prototypes = map(torch.from_numpy, outputs(count))
    scale = NETWORK / size[1]
    pad = (NETWORK - int(size[0] * scale)) // 2
    whole = ImageDimensions(*size)
    metadata = PreProcessingMetadata(
        pad_left=0, pad_top=pad, pad_right=0, pad_bottom=pad, original_size=whole, size_after_pre_processing=whole,
        inference_size=ImageDimensions(NETWORK, NETWORK), scale_width=scale, scale_height=scale,
        static_crop_offset=StaticCropOffset(0, 0, size[1], size[0]),
    )  # fmt: skip
    prepare = module.prepare_dense_masks if form == "dense" else module.prepare_rle_masks

    def call():
        found = post_process_nms_fused_model_output(output=rows.clone(), conf_thresh=0.1)
        return prepare(
            nms_results=found, protos=prototypes, pre_processing_meta=[metadata], masks_smoothing_enabled=True,
            masks_binarization_threshold=0.5, masks_resolution_factor=1.0,
        )  # fmt: skip

    return call


def main() -> None:
    make = public if "--public" in sys.argv else ours
    print("| picture | objects | masks | ms | MB above the model |\n|---|---|---|---|---|")
    for picture, count, form in CASES:
        if make is public and form == "polygons":
            continue
        call = make(PICTURES[picture], count, form)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        call()
        above = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        times = []
        for _ in range(REPEATS if make is ours else 3):
            start = time.process_time()
            call()
            times.append((time.process_time() - start) * 1e3)
        print(f"| {picture} | {count} | {form} | {median(times):.1f} | {above:.0f} |", flush=True)


if __name__ == "__main__":
    main()
