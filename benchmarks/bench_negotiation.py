"""Milliseconds of CPU to choose among 100, 1,000 and 10,000 packages of one model, with every check on every package.

python benchmarks/bench_negotiation.py
"""

from __future__ import annotations

import time
from statistics import median

from packaging.version import Version

from inference_models.entities import (
    BackendType,
    FileDownloadSpecs,
    MemoryProfile,
    ModelMetadata,
    ModelPackageMetadata,
    ONNXPackageDetails,
    Quantization,
    ServerEnvironmentRequirements,
    TorchScriptPackageDetails,
    TRTPackageDetails,
)
from inference_models.errors import NoCompatiblePackageError
from inference_models.machine.environment import Environment, Gpu
from inference_models.negotiate.choose import negotiate
from inference_models.negotiate.explain import choose_packages
from inference_models.negotiate.request import PackageRequest

COUNTS = (100, 1_000, 10_000)
REPEATS = 7
VERSION = Version("2.13.0")
RUNTIMES = (
    BackendType.ONNX,
    BackendType.OPENVINO,
    BackendType.LITERT,
    BackendType.TORCH,
    BackendType.TORCH_SCRIPT,
    BackendType.NULL,
)
LIBRARIES = ("torch", "torchvision", "onnxruntime", "openvino", "litert", "tensorrt", "transformers")
GPU = Gpu(name="NVIDIA L4", compute_capability=Version("8.9"), memory=24_000_000_000)
SERVER = Environment(
    system="linux x86_64",
    python="3.11",
    memory=64_000_000_000,
    gpus=(GPU,),
    installed=dict.fromkeys(LIBRARIES, VERSION),
    execution_providers=("CUDAExecutionProvider", "CPUExecutionProvider"),
    runtimes={**dict.fromkeys(RUNTIMES, Version("2026.1")), BackendType.ONNX: Version("1.32.0")},
)
LAPTOP = Environment(system="linux x86_64", python="3.11", runtimes={BackendType.ONNX: Version("1.32.0")})
FORMATS = (BackendType.ONNX, BackendType.TORCH_SCRIPT, BackendType.TRT, BackendType.OPENVINO)


def package(index):
    kind = FORMATS[index % len(FORMATS)]
    files = [FileDownloadSpecs(f"https://host/{index}/{name}", name, size=10_000_000) for name in ("weights", "names")]
    built_on = ServerEnvironmentRequirements(Version("8.9"), "nvidia-l4", None, Version("12.4"), VERSION, None)
    return ModelPackageMetadata(
        package_id=f"p{index}",
        backend=kind,
        package_artefacts=files,
        quantization=list(Quantization)[index % 5],
        dynamic_batch_size_supported=index % 3 == 0,
        static_batch_size=None if index % 3 == 0 else 1 + index % 7,
        trusted_source=index % 11 != 0,
        onnx_package_details=ONNXPackageDetails(13 + index % 9, ["TensorrtExecutionProvider"]),
        torch_script_package_details=TorchScriptPackageDetails({"cpu", "cuda"}, Version("2.6.0")),
        trt_package_details=TRTPackageDetails(1, 4, 8),
        environment_requirements=built_on if kind is BackendType.TRT else None,
        memory_profile=MemoryProfile(peak_vram_mb={1: 500, 8: 2_000}),
    )


def choose(model, request, environment):
    """Candidates that can run; where there are none, the text of the error is made, too."""
    try:
        return len(choose_packages(model, request, environment).admissible)
    except NoCompatiblePackageError as exc:
        return len(str(exc)) and 0


def milliseconds(call, model, request, environment):
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        call(model, request, environment)
        times.append(time.process_time() - start)
    return median(times) * 1e3


def main():
    wish = PackageRequest(batch_size=(64, 64), device="cuda:3")
    cases = {
        "a server where most of them run": (choose, PackageRequest(), SERVER),
        "a laptop without a GPU": (choose, PackageRequest(), LAPTOP),
        "a wish that nothing meets": (negotiate, wish, LAPTOP),
        "... and the text of the error": (choose, wish, LAPTOP),
    }
    models = {
        count: ModelMetadata("m", "yolov8", [package(index) for index in range(count)], task_type="object-detection")
        for count in COUNTS
    }
    print(f"{'':<33}" + "".join(f"{count:>12,}" for count in COUNTS) + f"{'10,000 / 1,000':>17}{'can run':>9}")
    for name, (call, request, environment) in cases.items():
        times = {count: milliseconds(call, model, request, environment) for count, model in models.items()}
        figures = "".join(f"{times[count]:>9.1f} ms" for count in COUNTS)
        running = choose(models[COUNTS[-1]], request, environment)
        print(f"{name:<33}{figures}{times[10_000] / times[1_000]:>17.1f}{running:>9,}")


if __name__ == "__main__":
    main()
