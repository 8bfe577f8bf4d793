"""Packages, machines and wishes for the tests of negotiation; nothing here depends on what is installed."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from packaging.version import Version

from inference_models.entities import (
    BackendType,
    FileDownloadSpecs,
    JetsonEnvironmentRequirements,
    MemoryProfile,
    ModelMetadata,
    ModelPackageMetadata,
    ONNXPackageDetails,
    PackageSourceType,
    Quantization,
    ServerEnvironmentRequirements,
    TorchScriptPackageDetails,
    TRTPackageDetails,
)
from inference_models.machine.environment import Environment, Gpu
from inference_models.negotiate.nms_fusion import NmsPreferences
from inference_models.negotiate.request import PackageRequest

V = Version
MACHINE = Environment(
    system="linux x86_64",
    python="3.11",
    installed={"torch": V("2.13.0"), "onnxruntime": V("1.32.0")},
    execution_providers=("CPUExecutionProvider",),
    runtimes={
        BackendType.LITERT: None,
        BackendType.NULL: V("2.4"),
        BackendType.ONNX: V("1.32.0"),
        BackendType.OPENVINO: None,
        BackendType.TORCH: V("2.13.0"),
        BackendType.TORCH_SCRIPT: V("2.13.0"),
    },
)
"""A machine without a GPU, with ONNX Runtime and PyTorch."""
L4 = Gpu(name="NVIDIA L4", compute_capability=V("8.9"), memory=24_000_000_000)
T4 = Gpu(name="Tesla T4", compute_capability=V("7.5"), memory=16_000_000_000)
SERVER = replace(
    MACHINE,
    gpus=(L4,),
    installed={**MACHINE.installed, "tensorrt": V("10.3.0")},
    tensorrt_version=V("10.3.0.26"),
    execution_providers=("CUDAExecutionProvider", "CPUExecutionProvider"),
    os_version="ubuntu-22.04",
)
"""A server with one GPU and TensorRT."""
JETSON = replace(SERVER, system="linux aarch64", gpus=(Gpu(name="Orin", compute_capability=V("8.7")),))
JETSON = replace(JETSON, jetson="nvidia-jetson-orin-nano", l4t_version=V("36.3.0"))
BUILT_ON = ServerEnvironmentRequirements(V("8.9"), "nvidia-l4", V("550.54"), V("12.4"), V("10.3.0.26"), "ubuntu-22.04")
BUILT_ON_JETSON = JetsonEnvironmentRequirements(
    V("8.7"), "orin", V("36.3.0"), "nvidia-jetson-orin-nano", V("12.2"), V("10.3.0"), V("540.3")
)
FUSED = {"max_detections": 300, "confidence_threshold": 0.25, "iou_threshold": 0.7, "class_agnostic": False}


def package(package_id: str = "p", **changes: object) -> ModelPackageMetadata:
    base = ModelPackageMetadata(
        package_id=package_id,
        backend=BackendType.ONNX,
        package_artefacts=[],
        quantization=Quantization.FP32,
        dynamic_batch_size_supported=True,
        trusted_source=True,
    )
    return replace(base, **changes)


def torch_script(package_id: str = "p", **changes: object) -> ModelPackageMetadata:
    details = TorchScriptPackageDetails({"cpu", "cuda"}, V("2.6.0"))
    return package(
        package_id, **{"backend": BackendType.TORCH_SCRIPT, "torch_script_package_details": details, **changes}
    )


def engine(package_id: str = "p", **changes: object) -> ModelPackageMetadata:
    stated = {"trt_package_details": TRTPackageDetails(1, 4, 8), "environment_requirements": BUILT_ON}
    return package(package_id, **{"backend": BackendType.TRT, **stated, **changes})


def model(
    *packages: ModelPackageMetadata, architecture: str = "yolov8", task: str | None = "object-detection"
) -> ModelMetadata:
    return ModelMetadata("m", architecture, list(packages), task_type=task)


VERSIONS = st.sampled_from([V("1"), V("2.6.0"), V("2.13.0+cpu"), V("10.3.0"), V("10.3.0.26"), V("8.9"), V("12.4")])
MAYBE_VERSIONS = st.none() | VERSIONS
PROVIDERS = st.sampled_from(
    ["CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider", "DmlExecutionProvider"]
)
NAMES = st.sampled_from(["nvidia-l4", "NVIDIA L4", "tesla-t4", "orin", ""])
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "max_detections": st.sampled_from([300, 100, "300", None, True]),
        "confidence_threshold": st.sampled_from([0.25, 0.5, float("nan")]),
        "iou_threshold": st.sampled_from([0.7, 1, float("inf"), 10**400]),
        "class_agnostic": st.sampled_from([False, True, 1, None]),
    },
)
SERVERS = st.builds(
    ServerEnvironmentRequirements,
    VERSIONS,
    NAMES,
    MAYBE_VERSIONS,
    MAYBE_VERSIONS,
    MAYBE_VERSIONS,
    st.sampled_from([None, "ubuntu-22.04"]),
)
JETSONS = st.builds(
    JetsonEnvironmentRequirements,
    VERSIONS,
    NAMES,
    VERSIONS,
    st.sampled_from([None, "nvidia-jetson-orin-nano"]),
    MAYBE_VERSIONS,
    MAYBE_VERSIONS,
    MAYBE_VERSIONS,
)
SIZES = st.none() | st.integers(-1, 9)
PACKAGES = st.builds(
    ModelPackageMetadata,
    package_id=st.sampled_from("abcdefgh"),
    backend=st.sampled_from(list(BackendType)),
    package_artefacts=st.lists(
        st.builds(FileDownloadSpecs, st.just("https://h/w"), st.just("w"), size=st.sampled_from([None, 1, 10**12])),
        max_size=2,
    ),
    package_source=st.sampled_from(PackageSourceType),
    quantization=st.none() | st.sampled_from(Quantization),
    dynamic_batch_size_supported=st.none() | st.booleans(),
    static_batch_size=SIZES,
    trt_package_details=st.none()
    | st.builds(TRTPackageDetails, SIZES, SIZES, SIZES, st.booleans(), st.booleans(), st.booleans()),
    onnx_package_details=st.none()
    | st.builds(ONNXPackageDetails, st.integers(-1, 40), st.none() | st.lists(PROVIDERS, max_size=3)),
    torch_script_package_details=st.none()
    | st.builds(
        TorchScriptPackageDetails,
        st.sets(st.sampled_from(["cpu", "cuda", "mps", "xla"]), max_size=3),
        VERSIONS,
        MAYBE_VERSIONS,
    ),
    trusted_source=st.booleans(),
    environment_requirements=st.none() | SERVERS | JETSONS,
    model_features=st.none()
    | st.just({})
    | st.just({"resolution": 560})
    | st.fixed_dictionaries({"nms_fused": st.sampled_from([True, {}, FUSED, None]) | SETTINGS}),
    memory_profile=st.builds(
        MemoryProfile, peak_vram_mb=st.dictionaries(st.integers(-1, 9), st.sampled_from([10, 20_000]), max_size=2)
    ),
)
LIBRARIES = ["torch", "torchvision", "onnxruntime", "openvino", "litert", "transformers", "tensorrt", "coremltools"]
ENVIRONMENTS = st.builds(
    Environment,
    system=st.sampled_from(["linux x86_64", "linux aarch64", "darwin arm64", "darwin x86_64", "win32 AMD64"]),
    python=st.just("3.11"),
    os_version=st.sampled_from([None, "ubuntu-22.04"]),
    memory=st.sampled_from([None, 0, 8_000_000_000]),
    gpus=st.lists(
        st.builds(Gpu, name=NAMES, compute_capability=MAYBE_VERSIONS, memory=st.sampled_from([None, 4_000_000_000])),
        max_size=2,
    ).map(tuple),
    driver_version=MAYBE_VERSIONS,
    tensorrt_version=MAYBE_VERSIONS,
    jetson=st.sampled_from([None, "nvidia-jetson-orin-nano"]),
    l4t_version=MAYBE_VERSIONS,
    installed=st.dictionaries(st.sampled_from(LIBRARIES), VERSIONS),
    broken=st.dictionaries(st.sampled_from(LIBRARIES), st.just("importing it ended the process by SIGILL"), max_size=2),
    execution_providers=st.lists(PROVIDERS, max_size=3, unique=True).map(tuple),
    runtimes=st.dictionaries(st.sampled_from(BackendType), st.none() | VERSIONS | st.just(V("1.32.0"))),
)
RANGES = st.sampled_from([None, (0.0, 1.0), (0.25, 0.25), (300, 300)])
WISHES = st.builds(NmsPreferences, RANGES, RANGES, RANGES, st.none() | st.booleans())
KINDS = st.sets(st.sampled_from(BackendType), min_size=1, max_size=4)
DEVICES = st.sampled_from(
    [None, None, "cpu", "cuda", "cuda:0", "cuda:1", "cuda:7", "mps", "coreml", "directml", "directml:1", "gpu:1", "npu"]
)
REQUESTS = st.builds(
    PackageRequest,
    package_id=st.none() | st.sampled_from("abcdefghz"),
    backends=st.none() | KINDS.map(frozenset),
    quantizations=st.none() | st.sets(st.sampled_from(Quantization), min_size=1).map(frozenset),
    batch_size=st.sampled_from([None, None, (1, 1), (1, 8), (64, 64)]),
    device=DEVICES,
    allow_untrusted=st.booleans(),
    disabled_backends=st.sampled_from([(), (BackendType.ONNX,)]),
    execution_providers=st.none() | st.lists(PROVIDERS, min_size=1, max_size=2).map(tuple),
    preferred_providers=st.none() | st.lists(PROVIDERS, min_size=1, max_size=2).map(tuple),
    nms_fusion=st.none() | st.booleans() | WISHES,
    required_capabilities=st.sampled_from([(), (), ("image_embeddings",)]),
    allow_engine_host_code=st.booleans(),
    allow_fallback=st.booleans(),
    force=st.booleans(),
)
