"""Records of runtimes that packages exist for and that no backend here opens: used by negotiation.

A backend module for one of them, here or in a plug-in, brings a record of its own, which then counts instead.
"""

from __future__ import annotations

from inference_models.backends.runtime import THREADS, Runtime
from inference_models.entities import BackendType
from inference_models.machine.libraries import Library

_TENSORRT = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt-cu11")
_TENSORRT_LEAN = ("tensorrt-lean", "tensorrt-lean-cu13", "tensorrt-lean-cu12")

RUNTIMES = (
    Runtime(
        label="TensorRT",
        type=BackendType.TRT,
        order=10,
        libraries=(
            Library("tensorrt", "tensorrt", _TENSORRT, 20.0, "Runtime"),
            Library("tensorrt_lean", "tensorrt_lean", _TENSORRT_LEAN, 20.0, "Runtime"),
        ),
        install="pip install tensorrt",
        devices=("cuda",),
        systems=("linux", "win32"),
        systems_text="Linux or Windows",
    ),
    Runtime(
        label="Core ML",
        type=BackendType.COREML,
        order=80,
        libraries=(Library("coremltools", "coremltools", ("coremltools",)),),
        install="pip install coremltools",
        devices=("mps", "cpu"),
        systems=("darwin arm64",),
        systems_text="macOS on Apple silicon",
        settings=frozenset({THREADS}),
    ),
    Runtime(label="Ultralytics", type=BackendType.ULTRALYTICS, order=90, settings=frozenset({THREADS})),
    Runtime(label="vLLM", type=BackendType.VLLM, order=100, settings=frozenset({THREADS})),
    Runtime(label="code of the package", type=BackendType.CUSTOM, order=110),
)
