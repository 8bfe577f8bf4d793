"""What starting costs: the import, and the way from a new process to the first detection with a cached model.

python benchmarks/bench_start.py PHOTO
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

from timing import table

RUNS = 15
IMPORT = """
import sys, time, resource, json
start = time.perf_counter()
import inference_models
seconds = time.perf_counter() - start
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
heavy = sorted({"torch", "cv2", "onnxruntime", "transformers", "numpy"} & set(sys.modules))
print(json.dumps({"seconds": seconds, "rss": rss, "heavy": heavy}))
"""
FIRST = """
import sys
from inference_models import AutoModel
model = AutoModel.from_pretrained("centerface")
assert len(model(sys.argv[1])[0]) > 0
"""
BARE = """
import sys, cv2, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
"""


def run(code: str, *arguments: str) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    return time.perf_counter() - start, done.stdout


def main(photo: str) -> None:
    run(FIRST, photo)
    imports = [json.loads(run(IMPORT)[1]) for _ in range(RUNS)]
    first = [run(FIRST, photo)[0] for _ in range(RUNS)]
    bare = [run(BARE)[0] for _ in range(RUNS)]
    empty = [run("pass")[0] for _ in range(RUNS)]
    rows = [
        ("`import inference_models`", f"{statistics.median(item['seconds'] for item in imports):.3f} s", "< 0.15 s"),
        ("memory after the import", f"{max(item['rss'] for item in imports):.0f} MB", "< 60 MB"),
        ("heavy modules it loads", ", ".join(imports[0]["heavy"]) or "none", "none"),
        ("process start to first detection", f"{statistics.median(first):.2f} s", "< 1.0 s"),
        ("of that, an empty Python", f"{statistics.median(empty):.2f} s", ""),
        ("of that, Python, NumPy, OpenCV and ONNX Runtime imports", f"{statistics.median(bare):.2f} s", ""),
    ]
    print(table(rows, ("what", "measured", "promise")))


if __name__ == "__main__":
    main(sys.argv[1])
