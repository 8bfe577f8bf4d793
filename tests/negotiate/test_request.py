from __future__ import annotations

import pytest

from inference_models import AutoModel
from inference_models.entities import BackendType, Quantization
from inference_models.errors import (
    InvalidParameterError,
    InvalidRequestedBatchSizeError,
    UnknownBackendTypeError,
    UnknownQuantizationError,
)
from inference_models.negotiate.nms_fusion import NmsPreferences
from inference_models.negotiate.request import (
    PackageRequest,
    as_arguments,
    build_request,
    parse_backends,
    parse_batch_size,
    parse_device,
    parse_quantizations,
)
from inference_models.options import LoadOptions


@pytest.mark.parametrize("value", ["onnx", "ONNX", BackendType.ONNX, ["onnx"], ("onnx",), {BackendType.ONNX}])
def test_a_backend_may_be_a_name_a_member_or_several(value: object) -> None:
    assert parse_backends(value) == {BackendType.ONNX}


def test_a_quantization_may_be_a_member() -> None:
    assert parse_quantizations(Quantization.INT8) == {Quantization.INT8}


@pytest.mark.parametrize(("value", "expected"), [(None, None), (4, (4, 4)), ((1, 8), (1, 8))])
def test_a_batch_size_is_a_number_or_a_range(value: object, expected: object) -> None:
    assert parse_batch_size(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("auto", None),
        ("CPU", "cpu"),
        ("cpu:0", "cpu"),
        ("cuda:1", "cuda:1"),
        ("directml:1", "directml:1"),
        ("gpu:1", "gpu:1"),
        ("coreml", "coreml"),
        ("npu", "npu"),
    ],
)
def test_a_device_is_a_name(value: object, expected: str | None) -> None:
    assert parse_device(value) == expected


def test_a_device_may_be_one_of_torch() -> None:
    torch = pytest.importorskip("torch")
    assert parse_device(torch.device("cuda", 0)) == "cuda:0"


def test_a_request_describes_itself() -> None:
    assert PackageRequest().describe() == "any backend, any quantization, device=auto"
    request = PackageRequest(backends=parse_backends(["trt", "onnx"]), device="cuda:0")
    assert request.describe() == "backend onnx or trt, any quantization, device=cuda:0"
    request = PackageRequest(
        package_id="p",
        batch_size=(1, 8),
        execution_providers=("CPUExecutionProvider",),
        disabled_backends=(BackendType.OPENVINO,),
        required_capabilities=("image_embeddings",),
    )
    assert request.describe() == (
        "package p, any quantization, device=auto, without openvino, batch 1..8, with CPUExecutionProvider, "
        "image_embeddings"
    )


def test_every_argument_reaches_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXRUNTIME_EXECUTION_PROVIDERS", "[CPUExecutionProvider]")
    options = LoadOptions(
        allow_untrusted_packages=True,
        disabled_backends=["openvino", BackendType.LITERT],
        nms_fusion_preferences={"iou_threshold": [0.7, 0.5], "max_detections": 300},
        required_capabilities="image_embeddings",
        trt_engine_host_code_allowed=True,
        allow_fallback=True,
        force=True,
    )
    request = build_request(
        options,
        model_package_id="p",
        batch_size=4,
        quantization=["int8"],
        device="cuda:1",
        onnx_execution_providers=[("CUDAExecutionProvider", {"device_id": 1}), "CPUExecutionProvider"],
    )
    assert request == PackageRequest(
        package_id="p",
        quantizations=frozenset({Quantization.INT8}),
        batch_size=(4, 4),
        device="cuda:1",
        allow_untrusted=True,
        disabled_backends=(BackendType.LITERT, BackendType.OPENVINO),
        execution_providers=("CUDAExecutionProvider", "CPUExecutionProvider"),
        preferred_providers=("CPUExecutionProvider",),
        nms_fusion=NmsPreferences(max_detections=(300, 300), iou_threshold=(0.5, 0.7)),
        required_capabilities=("image_embeddings",),
        allow_engine_host_code=True,
        allow_fallback=True,
        force=True,
    )


def test_disabled_backends_say_nothing_where_backends_are_named() -> None:
    request = build_request(LoadOptions(disabled_backends=["onnx"]), backend="onnx")
    assert (request.backends, request.disabled_backends) == (frozenset({BackendType.ONNX}), ())


def test_the_environment_names_the_device_where_the_caller_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_DEVICE", "cpu")
    assert build_request(LoadOptions()).device == "cpu"
    assert build_request(LoadOptions(), device="cuda").device == "cuda"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"device": "cpu", "quantizations": frozenset({Quantization.FP16})}, 'device="cpu", quantization="fp16"'),
        ({"batch_size": (4, 4)}, "batch_size=4"),
        ({"batch_size": (1, 8)}, "batch_size=(1, 8)"),
        ({"allow_untrusted": True}, "allow_untrusted_packages=True"),
        ({"execution_providers": ("CPUExecutionProvider",)}, 'onnx_execution_providers=["CPUExecutionProvider"]'),
        (
            {"nms_fusion": NmsPreferences(iou_threshold=(0.5, 0.7), class_agnostic=True)},
            'nms_fusion_preferences={"iou_threshold": (0.5, 0.7), "class_agnostic": True}',
        ),
    ],
)
def test_a_changed_request_is_written_as_arguments_that_can_be_pasted(change: dict[str, object], text: str) -> None:
    assert as_arguments(tuple(change.items())) == text


BATCH = "batch_size={0!r} makes no sense.\nneeds a positive whole number, or (smallest, largest); found: {0!r}"
DEVICE = (
    "device={0!r} makes no sense.\n"
    "needs 'auto', 'cpu', 'cuda', 'mps', 'coreml', 'directml', 'gpu', 'npu', or with a number such as 'cuda:1'; "
    "found: {0!r}\n{1}"
)
BEST = "leave device out: the best there is is taken"
NOTHING_LEFT = (
    "{0}=[] leaves nothing to choose from.\nneeds at least one name, or None for any; found: []\nleave {0} out"
)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"backend": "onx"}, UnknownBackendTypeError, "'onx' is no backend; nearest: 'onnx'.\npass backend=\"onnx\""),
        (
            {"backend": "TensorRT"},
            UnknownBackendTypeError,
            "'TensorRT' is no backend; nearest: 'trt'.\npass backend=\"trt\"",
        ),
        ({"backend": []}, InvalidParameterError, NOTHING_LEFT.format("backend")),
        (
            {"quantization": ["fp32", "fp1"]},
            UnknownQuantizationError,
            "'fp1' is no quantization; nearest: 'fp16'.\npass quantization=\"fp16\"",
        ),
        ({"quantization": []}, InvalidParameterError, NOTHING_LEFT.format("quantization")),
        *(
            ({"batch_size": value}, InvalidRequestedBatchSizeError, BATCH.format(value))
            for value in (0, -1, (8, 1), (1, 2, 3), "4", 2.0, [1, 2])
        ),
        *(
            ({"device": value}, InvalidParameterError, DEVICE.format(value, BEST))
            for value in ("", "tpu", "cuda:x", "cuda:", "cpu:1")
        ),
        ({"device": 0}, InvalidParameterError, DEVICE.format(0, 'pass device="cuda:0"')),
        (
            {"force": True},
            InvalidParameterError,
            (
                "force=True makes no sense here.\n"
                "needs model_package_id, the package to load in spite of what the checks say; found: no package named"
            ),
        ),
        (
            {"required_capabilities": ["image_embedding"]},
            InvalidParameterError,
            (
                "'image_embedding' is no capability; nearest: 'image_embeddings'.\n"
                "needs 'image_embeddings'; found: 'image_embedding'"
            ),
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_a_model_is_looked_for(
    arguments: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as caught:
        AutoModel.from_pretrained("./nothing.onnx", **arguments)
    assert str(caught.value) == text
