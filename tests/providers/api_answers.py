"""Answers of the hosted API."""

from __future__ import annotations

from typing import Any

MANIFESTS: dict[str, dict[str, Any]] = {
    "onnx-model-package-v1": {
        "type": "onnx-model-package-v1",
        "backendType": "onnx",
        "dynamicBatchSize": True,
        "quantization": "fp32",
        "opset": 17,
    },
    "torch-model-package-v1": {
        "type": "torch-model-package-v1",
        "backendType": "torch",
        "staticBatchSize": 1,
        "quantization": "fp16",
    },
    "torch-script-model-package-v1": {
        "type": "torch-script-model-package-v1",
        "backendType": "torch-script",
        "staticBatchSize": 8,
        "quantization": "fp32",
        "supportedDeviceTypes": ["cpu", "cuda"],
        "torchVersion": "2.6.0+cu124",
    },
    "hf-model-package-v1": {"type": "hf-model-package-v1", "backendType": "hf", "quantization": "bf16"},
    "coreml-model-package-v1": {
        "type": "coreml-model-package-v1",
        "backendType": "coreml",
        "staticBatchSize": 1,
        "quantization": "fp16",
    },
    "openvino-model-package-v1": {
        "type": "openvino-model-package-v1",
        "backendType": "openvino",
        "dynamicBatchSize": True,
        "quantization": "fp32",
    },
    "litert-model-package-v1": {
        "type": "litert-model-package-v1",
        "backendType": "litert",
        "staticBatchSize": 1,
        "quantization": "int8",
    },
    "ultralytics-model-package-v1": {"type": "ultralytics-model-package-v1", "anything": 1},
    "trt-model-package-v1": {
        "type": "trt-model-package-v1",
        "backendType": "trt",
        "dynamicBatchSize": True,
        "minBatchSize": 1,
        "optBatchSize": 8,
        "maxBatchSize": 16,
        "quantization": "fp16",
        "cudaDeviceType": "NVIDIA A10",
        "cudaDeviceCC": "8.6",
        "cudaVersion": "12.4",
        "trtVersion": "10.3.0",
        "sameCCCompatible": True,
        "machineType": "gpu-server",
        "machineSpecs": {"type": "gpu-server-specs-v1", "driverVersion": "550.54", "osVersion": "ubuntu 22.04"},
    },
}


def package(**changes: Any) -> dict[str, Any]:
    """One entry of `modelPackages`."""
    return {
        "type": "external-model-package-v1",
        "packageId": "0a1b2c",
        "packageManifest": MANIFESTS["onnx-model-package-v1"],
        "packageFiles": [
            {
                "fileHandle": "weights.onnx",
                "downloadUrl": "https://files.example/weights.onnx?sig=1",
                "md5Hash": "d41d8cd98f00b204e9800998ecf8427e",
            }
        ],
        "trustedSource": True,
        **changes,
    }


def metadata(*packages: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """A whole answer."""
    return {
        "modelMetadata": {
            "type": "external-model-metadata-v1",
            "modelId": "coco/3",
            "modelArchitecture": "yolov8",
            "modelVariant": "yolov8n",
            "taskType": "object-detection",
            "modelPackages": list(packages),
            "nextPage": None,
            **facts,
        }
    }
