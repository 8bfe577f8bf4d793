"""From the raw output of a pose graph to key points on the picture: 300 persons among 8400 anchors, one core.

python benchmarks/bench_key_points.py             ours
python benchmarks/bench_key_points.py --public    the public library of the same interface, where it is installed

Times are of the processor, since both use one thread; medians.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

NETWORK, ANCHORS, POINTS = 640, 8400, 17
PICTURE = (1080, 1920)
REPEATS = 51


def output(persons: int) -> np.ndarray:
    """(1, 4 + 1 + 3 POINTS, ANCHORS): persons in a grid without overlap, and nothing else above the threshold."""
    rng = np.random.default_rng(0)
    place = rng.permutation(ANCHORS)[:persons]
    columns = np.zeros((5 + 3 * POINTS, ANCHORS), np.float32)
    columns[:2] = rng.uniform(0, NETWORK, (2, ANCHORS))
    columns[2:4], columns[4] = 20, rng.uniform(0, 0.2, ANCHORS)
    cells = np.arange(persons)
    columns[0, place], columns[1, place] = 15 + 30 * (cells % 20), 150 + 22 * (cells // 20)
    columns[4, place] = rng.uniform(0.5, 1, persons)
    columns[5:] = rng.uniform(0, 1, (3 * POINTS, ANCHORS)) * NETWORK
    columns[7::3] /= NETWORK
    return columns[None]


def ours(raw: np.ndarray):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    import graphs
    from inference_models import AutoModel

    metadata = {"task": "pose", "names": "['person']", "kpt_shape": f"[{POINTS}, 3]"}
    path = graphs.constant_outputs(
        Path(tempfile.mkdtemp()) / "m.onnx", size=(NETWORK, NETWORK), outputs={"output0": raw}, metadata=metadata
    )
    model = AutoModel.from_pretrained(path, backend="onnx", threads=1)
    inputs, ways = model.pre_process(np.zeros((*PICTURE, 3), np.uint8))
    given = model.forward(inputs)
    return lambda: model.post_process(given, ways)[0][0]


def public(raw: np.ndarray):
    import torch
    from inference_models.models.common.roboflow.model_packages import PreProcessingMetadata, StaticCropOffset
    from inference_models.models.yolov8.yolov8_key_points_detection_onnx import YOLOv8ForKeyPointsDetectionOnnx

    from inference_models.entities import ImageDimensions

    torch.set_num_threads(1)
    scale, whole = NETWORK / PICTURE[1], ImageDimensions(*PICTURE)
    pad = (NETWORK - int(PICTURE[0] * scale)) // 2
    metadata = PreProcessingMetadata(
        pad_left=0, pad_top=pad, pad_right=0, pad_bottom=pad, original_size=whole, size_after_pre_processing=whole,
        inference_size=ImageDimensions(NETWORK, NETWORK), scale_width=scale, scale_height=scale,
        static_crop_offset=StaticCropOffset(0, 0, PICTURE[1], PICTURE[0]),
    )  # fmt: skip
    model = object.__new__(YOLOv8ForKeyPointsDetectionOnnx)
    model._inference_config = SimpleNamespace(post_processing=SimpleNamespace(fused=False))
    model._key_points_classes_for_instances, model._key_points_slots_in_prediction = torch.tensor([POINTS]), POINTS
    model._parsed_key_points_metadata, model._class_names = [["point"] * POINTS], ["person"]
    model._device, model.recommended_parameters = torch.device("cpu"), None
    tensor = torch.from_numpy(raw)
    return lambda: model.post_process(tensor.clone(), [metadata], confidence=0.4)[0][0]


def main() -> None:
    make = public if "--public" in sys.argv else ours
    for persons in (1, 30, 300):
        call = make(output(persons))
        found = len(call().xy)
        times = []
        for _ in range(REPEATS):
            start = time.process_time()
            call()
            times.append(time.process_time() - start)
        print(f"{persons} persons ({found} found): {median(times) * 1000:.2f} ms")


if __name__ == "__main__":
    main()
