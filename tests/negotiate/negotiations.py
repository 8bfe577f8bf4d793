"""Negotiations that people meet: a hosted model with five packages on machines of all kinds."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from packaging.version import Version

from inference_models.entities import (
    ArtefactSpecs,
    BackendType,
    FileDownloadSpecs,
    InlineFileSpecs,
    ModelDependency,
    ModelMetadata,
    ModelPackageMetadata,
    ONNXPackageDetails,
    Quantization,
    ServerEnvironmentRequirements,
    SkippedPackage,
    TorchScriptPackageDetails,
    TRTPackageDetails,
)
from inference_models.machine.environment import Environment, Gpu
from inference_models.negotiate.choose import negotiate
from inference_models.negotiate.explain import Circumstances, make_report
from inference_models.negotiate.report import NegotiationReport
from inference_models.negotiate.request import PackageRequest

SIGNED = "https://files.example/weights?X-Signature=canary"


def files(handle: str, size: int | None) -> list[ArtefactSpecs]:
    return [
        FileDownloadSpecs(SIGNED, handle, sha256_hash="0" * 64, size=size),
        InlineFileSpecs("class_names.txt", "cat"),
    ]


ENGINE = ModelPackageMetadata(
    package_id="a1f3",
    backend=BackendType.TRT,
    package_artefacts=files("engine.plan", 8_400_000),
    quantization=Quantization.FP16,
    dynamic_batch_size_supported=True,
    trt_package_details=TRTPackageDetails(1, 4, 8),
    trusted_source=True,
    environment_requirements=ServerEnvironmentRequirements(
        Version("7.5"), "tesla-t4", Version("535.1"), Version("12.4"), Version("10.3.0"), "ubuntu-22.04"
    ),
)
GRAPH = ModelPackageMetadata(
    package_id="7c20",
    backend=BackendType.ONNX,
    package_artefacts=files("weights.onnx", 12_100_000),
    quantization=Quantization.FP32,
    dynamic_batch_size_supported=True,
    onnx_package_details=ONNXPackageDetails(17),
    trusted_source=True,
)
HALF = replace(
    GRAPH,
    package_id="9d11",
    package_artefacts=files("weights.onnx", 6_100_000),
    quantization=Quantization.FP16,
    dynamic_batch_size_supported=False,
    static_batch_size=1,
)
SCRIPT = ModelPackageMetadata(
    package_id="e055",
    backend=BackendType.TORCH_SCRIPT,
    package_artefacts=files("weights.torchscript", 12_600_000),
    quantization=Quantization.FP32,
    dynamic_batch_size_supported=True,
    torch_script_package_details=TorchScriptPackageDetails({"cpu", "cuda"}, Version("2.6.0")),
    trusted_source=True,
)
CATS = ModelMetadata(
    model_id="team/cats/3",
    model_architecture="yolov8",
    model_variant="yolov8n",
    model_packages=[ENGINE, GRAPH, HALF, SCRIPT],
    task_type="object-detection",
    license="AGPL-3.0",
    source="trained by team",
    description="Finds cats, sleeping or awake, on sofas, under sofas and in boxes that are too small for them.",
    model_dependencies=[ModelDependency(name="colours", model_id="team/colours/1")],
    skipped_packages=(SkippedPackage("f00d", "its backend 'abacus' is unknown to this release"),),
)

NOTHING = Environment(
    system="linux x86_64",
    python="3.11",
    cpus=2,
    memory=8_000_000_000,
    runtimes={kind: None for kind in BackendType if kind is not BackendType.NULL},
)


def with_libraries(environment: Environment, **versions: str) -> Environment:
    """`environment` with these libraries installed."""
    kinds = {
        "litert": [BackendType.LITERT],
        "onnxruntime": [BackendType.ONNX],
        "openvino": [BackendType.OPENVINO],
        "torch": [BackendType.TORCH, BackendType.TORCH_SCRIPT],
    }
    installed = {name: Version(text) for name, text in versions.items()}
    runtimes = {kind: version for name, version in installed.items() for kind in kinds[name]}
    providers = ("CPUExecutionProvider",) if "onnxruntime" in versions else ()
    return replace(
        environment,
        installed={**environment.installed, **installed},
        runtimes={**environment.runtimes, **runtimes},
        execution_providers=providers,
    )


ONLY_TORCH = with_libraries(NOTHING, torch="2.13.0")
ONLY_ONNX = with_libraries(NOTHING, onnxruntime="1.32.0")
EVERYTHING = with_libraries(NOTHING, onnxruntime="1.32.0", openvino="2026.4.1", torch="2.13.0", litert="2.3.0")
OTHER_GPU = replace(
    NOTHING,
    gpus=(Gpu(name="NVIDIA L4", compute_capability=Version("8.9"), memory=23_700_000_000),),
    driver_version=Version("550.54"),
    cuda_version=Version("12.4"),
    tensorrt_version=Version("10.3.0"),
    installed={"tensorrt": Version("10.3.0")},
)


def alone(*packages: ModelPackageMetadata) -> ModelMetadata:
    """The model with these packages and nothing else."""
    return replace(CATS, model_packages=list(packages), skipped_packages=(), model_dependencies=None)


SCENES: dict[str, tuple[ModelMetadata, Environment, Circumstances | None]] = {
    "nothing-installed": (CATS, NOTHING, Circumstances(provider="roboflow")),
    "only-torch": (CATS, ONLY_TORCH, None),
    "only-onnxruntime": (CATS, ONLY_ONNX, None),
    "engine-for-another-gpu": (alone(ENGINE), OTHER_GPU, None),
    "untrusted-only": (alone(replace(GRAPH, trusted_source=False)), ONLY_ONNX, None),
    "everything-fits": (
        alone(GRAPH, SCRIPT),
        EVERYTHING,
        Circumstances(stored={"7c20": frozenset({"weights.onnx"})}),
    ),
    "engines-for-many-machines": (
        alone(*(replace(ENGINE, package_id=f"{number:032x}") for number in range(1, 8))),
        NOTHING,
        None,
    ),
}


@cache
def report_of(name: str) -> NegotiationReport:
    """The report of a scene, without wishes."""
    model, environment, circumstances = SCENES[name]
    return make_report(negotiate(model, PackageRequest(), environment), circumstances)
