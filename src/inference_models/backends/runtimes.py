"""The records of the runtimes that packages exist for: known without importing what drives them.

The driver of a runtime is the module of its name, which is imported when a graph is opened. A file beside them that has
no record here, or a plug-in, brings its own as `RUNTIME`, which then counts.
"""

from __future__ import annotations

from packaging.version import Version

from inference_models.backends.runtime import EXECUTION_PROVIDERS, THREADS, Runtime
from inference_models.entities import BackendType
from inference_models.machine.libraries import Library
from inference_models.record import replace

_BUILDS = ("gpu", "openvino", "directml", "silicon", "rocm", "migraphx", "qnn", "cann", "training")
"""Distributions that all put their files into the same package, `onnxruntime`."""
ONNX = Runtime(
    label="ONNX Runtime",
    type=BackendType.ONNX,
    order=20,
    libraries=(
        Library(
            "onnxruntime",
            "onnxruntime",
            ("onnxruntime", *(f"onnxruntime-{build}" for build in _BUILDS), "ort-nightly", "ort-nightly-gpu"),
            deadline=20.0,
            attribute="get_available_providers",
        ),
    ),
    requires="onnxruntime>=1.19",
    install='pip install "onnxruntime>=1.19"',
    devices=("cpu", "cuda", "mps", "coreml", "directml"),
    settings=frozenset({EXECUTION_PROVIDERS, THREADS}),
)

OPENVINO = Runtime(
    label="OpenVINO",
    type=BackendType.OPENVINO,
    reads=(BackendType.ONNX,),
    order=60,
    libraries=(Library("openvino", "openvino", ("openvino", "openvino-nightly"), deadline=20.0, attribute="Core"),),
    requires="openvino>=2025.0",
    install='pip install "openvino>=2025.0"',
    devices=("cpu", "gpu", "npu"),
    settings=frozenset({THREADS}),
)

LITERT = Runtime(
    label="LiteRT",
    type=BackendType.LITERT,
    order=70,
    libraries=(
        Library(
            "litert",
            "ai_edge_litert.interpreter",
            ("ai-edge-litert", "ai-edge-litert-nightly"),
            deadline=20.0,
            attribute="Interpreter",
        ),
    ),
    requires="ai-edge-litert>=1.2",
    install='pip install "ai-edge-litert>=1.2"',
    devices=("cpu",),
    settings=frozenset({THREADS}),
)

TORCH = Library("torch", "torch", ("torch",), deadline=60.0, attribute="Tensor")
"""From a cold disk or over a network, reading PyTorch's libraries alone takes longer than all others need."""
OLDEST_TORCH = Version("2.6")
"""Before, reading weights could run code of the file, even with `weights_only=True`."""
PYTORCH = Runtime(
    label="PyTorch",
    type=BackendType.TORCH,
    order=30,
    libraries=(TORCH,),
    requires=f"torch>={OLDEST_TORCH}",
    install=f'pip install "torch>={OLDEST_TORCH}" safetensors',
    devices=("cpu", "cuda", "mps"),
    settings=frozenset({THREADS}),
)

TORCH_SCRIPT = replace(
    PYTORCH,
    type=BackendType.TORCH_SCRIPT,
    order=40,
    libraries=(TORCH, Library("torchvision", "torchvision", ("torchvision",))),
)

HUGGING_FACE = Runtime(
    label="Transformers",
    type=BackendType.HF,
    order=50,
    libraries=(Library("transformers", "transformers", ("transformers",), deadline=60.0), TORCH),
    requires="transformers>=5",
    install='pip install "transformers>=5" "torch>=2.6" safetensors',
    devices=("cpu", "cuda", "mps"),
    settings=frozenset({THREADS}),
)

NULL = Runtime(label="the null backend", type=BackendType.NULL, order=120, devices=("cpu",))

DRIVEN = (ONNX, OPENVINO, LITERT, PYTORCH, TORCH_SCRIPT, HUGGING_FACE, NULL)
"""Those with a module of their name here."""

_TENSORRT = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt-cu11")
_TENSORRT_LEAN = ("tensorrt-lean", "tensorrt-lean-cu13", "tensorrt-lean-cu12")

UNDRIVEN = (
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
"""Those that no module of this package opens; used by negotiation."""
