"""What graphs that never end, or never fit, cost before they are refused: processor and peak memory of all processes.

python benchmarks/bench_trials.py

Each is loaded in a process of its own; what that takes without the trial, the import of the library and of the runtime
included, is part of the figures. Promised are 10 s of processor and 3 GB, and for the next graph of a process no start.
On 2026-11-28, two processors with a load of 12 (so that the 28 s of patience ended what the 7 s of processor should),
ONNX Runtime, OpenVINO and LiteRT: 7.3 to 9.3 s for what never ends, 2.0 to 2.2 s for what never fits.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
LOAD = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import hostile_graphs, tflite_graphs
from inference_models import AutoModel
from inference_models.errors import BaseInferenceModelsError
kind, backend, folder = sys.argv[2:]
os.environ["INFERENCE_HOME"] = folder
options = {}
if kind == "endless":
    path = tflite_graphs.endless(Path(folder) / "m.tflite", size=8)
    options = {"labels": ["a", "b", "c"], "model_type": "classifier", "task_type": "classification"}
else:
    path = getattr(hostile_graphs, kind)(Path(folder) / "m.onnx")
try:
    AutoModel.from_pretrained(path, backend=backend, **options)
except BaseInferenceModelsError as exc:
    print("; ".join(str(exc).splitlines()[1:2]))
else:
    print("loaded")
"""
KINDS = [
    ("looped", "onnx"),
    ("in_a_branch", "onnx"),
    ("scanned", "onnx"),
    ("multiplied_again", "onnx"),
    ("filled", "onnx"),
    ("broadcast", "onnx"),
    ("looped", "openvino"),
    ("scanned", "openvino"),
    ("endless", "litert"),
]


def measured(kind: str, backend: str) -> tuple[float, float, str]:
    """Processor seconds, peak bytes of the largest process, and what the load said."""
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run([sys.executable, '-c', *sys.argv[1:]], capture_output=True, text=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, (done.stdout or done.stderr[-200:]).strip())\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", code, LOAD, str(TESTS), kind, backend, folder]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, memory, said = told.strip().split(" ", 2)
    return float(seconds), float(memory), said


def main() -> None:
    print("| graph | runtime | processor, s | peak, MB | refused with |\n|---|---|---|---|---|")
    for kind, backend in KINDS:
        seconds, memory, said = measured(kind, backend)
        print(f"| {kind} | {backend} | {seconds:.1f} | {memory / 1e6:.0f} | {said} |", flush=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
