"""Memory and time of a model of Transformers here, against Transformers' own call: processor, network, post-processing.

Networks have the size of ViT-base, DETR with ResNet-50 and SegFormer-B2, with random weights. Each side runs alone in a
process of its own, one thread, fp32: peak memory from the start to the last call, then the median of calls on a 640 x
480 photograph. Processes take turns; what is compared is the processor time of a call, which other processes change
less than the clock.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import table

MOST_MEMORY, MOST_TIME = 1.10, 1.05
ROUNDS = 3

MAKE = """
import sys, torch, transformers as t
torch.manual_seed(0)
labels = {"id2label": {n: f"class {n}" for n in range(91)}, "label2id": {f"class {n}": n for n in range(91)}}
kind, folder = sys.argv[1:]
if kind == "vit":
    network, processor = t.ViTForImageClassification(t.ViTConfig(**labels)), t.ViTImageProcessorPil()
elif kind == "detr":
    backbone = t.ResNetConfig(out_features=["stage4"])
    network = t.DetrForObjectDetection(t.DetrConfig(use_timm_backbone=False, backbone_config=backbone, **labels))
    processor = t.DetrImageProcessorPil()
else:
    sizes = {"hidden_sizes": [64, 128, 320, 512], "depths": [3, 4, 6, 3], "decoder_hidden_size": 768}
    network = t.SegformerForSemanticSegmentation(t.SegformerConfig(**sizes, **labels))
    processor = t.SegformerImageProcessorPil(size={"height": 512, "width": 512})
network.eval().save_pretrained(folder)
processor.save_pretrained(folder)
"""
START = """
import json, statistics, sys, time
import numpy as np
from PIL import Image
rows, columns = np.mgrid[0:480, 0:640] / 640
waves = [np.sin(6 * rows + 3 * columns), np.cos(9 * rows), np.sin(4 * columns * (1 + rows))]
picture = Image.fromarray((np.stack(waves, -1) * 100 + 128).astype(np.uint8))
kind, folder = sys.argv[1:]
"""
OURS = """
from inference_models import AutoModel
model = AutoModel.from_pretrained(folder, device="cpu", threads=1, arrays="numpy")
call = lambda: model(picture)
"""
THEIRS = """
import torch, transformers as t
torch.set_num_threads(1)
name = {"vit": "ViT", "detr": "Detr", "segformer": "Segformer"}[kind]
what = {"vit": "ImageClassification", "detr": "ObjectDetection", "segformer": "SemanticSegmentation"}[kind]
network = getattr(t, f"{name}For{what}").from_pretrained(folder).eval()
processor = getattr(t, f"{name}ImageProcessorPil").from_pretrained(folder)
def call():
    with torch.no_grad():
        answer = network(**processor(images=picture, return_tensors="pt"))
    if kind == "vit":
        return answer.logits.softmax(-1).numpy()
    if kind == "detr":
        return processor.post_process_object_detection(answer, 0.5, target_sizes=[(480, 640)])
    return processor.post_process_semantic_segmentation(answer, target_sizes=[(480, 640)])[0].numpy()
"""
COUNT = """
call()
times = []
for _ in range(5):
    start = time.process_time()
    call()
    times.append(time.process_time() - start)
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"ms": statistics.median(times) * 1e3, "mb": peak / 1024}))
"""


def told(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def main() -> int:
    rows, kept = [], True
    for kind in sys.argv[1:] or ["vit", "detr", "segformer"]:
        with tempfile.TemporaryDirectory() as folder:
            told(MAKE, kind, str(Path(folder)))
            found: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
            for _ in range(ROUNDS):
                for name, code in (("ours", OURS), ("theirs", THEIRS)):
                    found[name].append(json.loads(told(START + code + COUNT, kind, folder)))
        ours, theirs = (
            {key: statistics.median(each[key] for each in runs) for key in ("ms", "mb")} for runs in found.values()
        )
        memory, time = ours["mb"] / theirs["mb"], ours["ms"] / theirs["ms"]
        kept = kept and memory <= MOST_MEMORY and time <= MOST_TIME
        rows.append(
            (
                kind,
                f"{ours['mb']:.0f} / {theirs['mb']:.0f} MB",
                f"{memory:.2f}",
                f"{ours['ms']:.0f} / {theirs['ms']:.0f} ms",
                f"{time:.2f}",
            )
        )
    print(table(rows, ("network", "peak, ours / theirs", "ratio", "call, ours / theirs", "ratio")))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
