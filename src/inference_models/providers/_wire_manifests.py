"""The kinds of `packageManifest` of the hosted API: what each says, and the backend it is for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from inference_models.entities import (
    BackendType,
    JetsonEnvironmentRequirements,
    ONNXPackageDetails,
    Quantization,
    ServerEnvironmentRequirements,
    TorchScriptPackageDetails,
    TRTPackageDetails,
)

OTHER_RUNTIMES = frozenset({"oak-model-package-v1", "tfjs-model-package-v1", "mediapipe-model-package-v1"})
_Text = Annotated[str, Field(max_length=4096)]
_Count = Annotated[int, Field(gt=0, lt=2**31)]


class Manifest(BaseModel):
    """Accepts camelCase names, ignores unknown ones."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, protected_namespaces=())

    def facts(self) -> dict[str, Any]:
        """Fields of `ModelPackageMetadata` that this manifest states.

        Raises:
            ValueError: it contradicts itself.
        """
        raise NotImplementedError


class Batched(Manifest):
    """A manifest that says which batches the package takes."""

    dynamic_batch_size: bool = False
    static_batch_size: _Count | None = None
    quantization: Quantization

    @model_validator(mode="after")
    def _one_mode(self) -> Batched:
        if self.dynamic_batch_size and self.static_batch_size is not None:
            raise ValueError("staticBatchSize is stated although dynamicBatchSize is true")
        if not self.dynamic_batch_size and self.static_batch_size is None:
            raise ValueError("staticBatchSize is missing although dynamicBatchSize is false")
        return self

    def batch_facts(self, backend: BackendType) -> dict[str, Any]:
        """The fields every batched package has."""
        return {
            "backend": backend,
            "quantization": self.quantization,
            "dynamic_batch_size_supported": self.dynamic_batch_size,
            "static_batch_size": self.static_batch_size,
        }


class OnnxManifest(Batched):
    """An ONNX graph."""

    backend_type: Literal["onnx"] = "onnx"
    opset: Annotated[int, Field(gt=0, lt=10_000)]
    incompatible_providers: list[_Text] | None = None

    def facts(self) -> dict[str, Any]:
        """Fields of the package."""
        details = ONNXPackageDetails(opset=self.opset, incompatible_providers=self.incompatible_providers)
        return {**self.batch_facts(BackendType.ONNX), "onnx_package_details": details}


class TorchManifest(Batched):
    """Weights for a PyTorch module."""

    backend_type: Literal["torch"] = "torch"

    def facts(self) -> dict[str, Any]:
        """Fields of the package."""
        return self.batch_facts(BackendType.TORCH)


class CoreMlManifest(Batched):
    """A Core ML package."""

    backend_type: Literal["coreml"] = "coreml"

    def facts(self) -> dict[str, Any]:
        """Fields of the package."""
        return self.batch_facts(BackendType.COREML)


class OpenVinoManifest(Batched):
    """OpenVINO IR; a type of ours, which other clients of the API leave out."""

    backend_type: Literal["openvino"] = "openvino"

    def facts(self) -> dict[str, Any]:
        """Fields of the package."""
        return self.batch_facts(BackendType.OPENVINO)


class LiteRtManifest(Batched):
    """A LiteRT FlatBuffer; a type of ours, which other clients of the API leave out."""

    backend_type: Literal["litert"] = "litert"

    def facts(self) -> dict[str, Any]:
        """Fields of the package."""
        return self.batch_facts(BackendType.LITERT)


class TorchScriptManifest(Batched):
    """A TorchScript archive."""

    backend_type: Literal["torch-script"] = "torch-script"
    supported_device_types: list[_Text]
    torch_version: _Text
    torch_vision_version: _Text | None = None

    def facts(self) -> dict[str, Any]:
        """Fields of the package."""
        details = TorchScriptPackageDetails(
            supported_device_types=set(self.supported_device_types),
            torch_version=_version("torchVersion", self.torch_version),
            torch_vision_version=None
            if self.torch_vision_version is None
            else _version("torchVisionVersion", self.torch_vision_version),
        )
        return {**self.batch_facts(BackendType.TORCH_SCRIPT), "torch_script_package_details": details}


class HuggingFaceManifest(Manifest):
    """A folder for Transformers."""

    backend_type: Literal["hf"] = "hf"
    quantization: Quantization

    def facts(self) -> dict[str, Any]:
        """Fields of the package."""
        return {"backend": BackendType.HF, "quantization": self.quantization}


class UltralyticsManifest(Manifest):
    """A checkpoint for a library this one does not use."""

    def facts(self) -> dict[str, Any]:
        """Fields of the package."""
        return {"backend": BackendType.ULTRALYTICS, "quantization": Quantization.UNKNOWN}


class ServerSpecs(Manifest):
    """The server an engine was built on."""

    type: Literal["gpu-server-specs-v1"]
    driver_version: _Text
    os_version: _Text


class JetsonSpecs(Manifest):
    """The Jetson an engine was built on."""

    type: Literal["jetson-machine-specs-v1"]
    l4t_version: Annotated[str, Field(alias="l4tVersion", max_length=4096)]
    device_name: _Text
    driver_version: _Text


_MACHINES: dict[str, type[Manifest]] = {"gpu-server": ServerSpecs, "jetson": JetsonSpecs}


class TrtManifest(Batched):
    """A TensorRT engine."""

    backend_type: Literal["trt"] = "trt"
    min_batch_size: _Count | None = None
    opt_batch_size: _Count | None = None
    max_batch_size: _Count | None = None
    cuda_device_type: _Text
    cuda_device_cc: Annotated[str, Field(alias="cudaDeviceCC", max_length=4096)]
    cuda_version: _Text
    trt_version: _Text
    same_cc_compatible: Annotated[bool, Field(alias="sameCCCompatible")] = False
    trt_forward_compatible: bool = False
    trt_lean_runtime_excluded: bool = False
    machine_type: Literal["gpu-server", "jetson"]
    machine_specs: Annotated[ServerSpecs | JetsonSpecs, Field(discriminator="type")]

    @model_validator(mode="after")
    def _consistent(self) -> TrtManifest:
        bounds = (self.min_batch_size, self.opt_batch_size, self.max_batch_size)
        if self.dynamic_batch_size and None in bounds:
            raise ValueError("minBatchSize, optBatchSize and maxBatchSize are needed when dynamicBatchSize is true")
        agrees = isinstance(self.machine_specs, _MACHINES[self.machine_type])
        if not agrees:
            raise ValueError(f"machineType is {self.machine_type!r} and machineSpecs are {self.machine_specs.type!r}")
        return self

    def facts(self) -> dict[str, Any]:
        """Fields of the package."""
        details = TRTPackageDetails(
            min_dynamic_batch_size=self.min_batch_size,
            opt_dynamic_batch_size=self.opt_batch_size,
            max_dynamic_batch_size=self.max_batch_size,
            same_cc_compatible=self.same_cc_compatible,
            trt_forward_compatible=self.trt_forward_compatible,
            trt_lean_runtime_excluded=self.trt_lean_runtime_excluded,
        )
        return {
            **self.batch_facts(BackendType.TRT),
            "trt_package_details": details,
            "environment_requirements": self._machine(),
        }

    def _machine(self) -> ServerEnvironmentRequirements | JetsonEnvironmentRequirements:
        specs = self.machine_specs
        capability = _version("cudaDeviceCC", self.cuda_device_cc)
        cuda = _version("cudaVersion", self.cuda_version)
        tensorrt = _version("trtVersion", self.trt_version)
        driver = _version("driverVersion", specs.driver_version)
        if isinstance(specs, JetsonSpecs):
            return JetsonEnvironmentRequirements(
                cuda_device_cc=capability,
                cuda_device_name=self.cuda_device_type,
                l4t_version=_version("l4tVersion", specs.l4t_version),
                jetson_product_name=specs.device_name,
                cuda_version=cuda,
                trt_version=tensorrt,
                driver_version=driver,
            )
        return ServerEnvironmentRequirements(
            cuda_device_cc=capability,
            cuda_device_name=self.cuda_device_type,
            driver_version=driver,
            cuda_version=cuda,
            trt_version=tensorrt,
            os_version=specs.os_version,
        )


MANIFESTS: dict[str, type[Manifest]] = {
    "coreml-model-package-v1": CoreMlManifest,
    "hf-model-package-v1": HuggingFaceManifest,
    "litert-model-package-v1": LiteRtManifest,
    "onnx-model-package-v1": OnnxManifest,
    "openvino-model-package-v1": OpenVinoManifest,
    "torch-model-package-v1": TorchManifest,
    "torch-script-model-package-v1": TorchScriptManifest,
    "trt-model-package-v1": TrtManifest,
    "ultralytics-model-package-v1": UltralyticsManifest,
}


def _version(name: str, text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        raise ValueError(f"{name} is {text[:40]!a}, which is no version") from None
