from __future__ import annotations

import pytest

from inference_models.entities import BackendType, Quantization
from inference_models.errors import InvalidParameterError, UnknownBackendTypeError, UnknownQuantizationError
from inference_models.resolve.request import (
    PackageRequest,
    parse_backends,
    parse_batch_size,
    parse_device,
    parse_quantizations,
)


@pytest.mark.parametrize("value", ["onnx", "ONNX", BackendType.ONNX, ["onnx"], ("onnx",), {BackendType.ONNX}])
def test_a_backend_may_be_a_name_a_member_or_several(value: object) -> None:
    assert parse_backends(value) == {BackendType.ONNX}


def test_an_unknown_backend_names_the_nearest() -> None:
    with pytest.raises(UnknownBackendTypeError) as caught:
        parse_backends("onx")
    assert str(caught.value) == "'onx' is no backend; nearest: 'onnx'."


def test_an_unknown_quantization_names_the_nearest() -> None:
    with pytest.raises(UnknownQuantizationError) as caught:
        parse_quantizations(["fp32", "fp1"])
    assert str(caught.value) == "'fp1' is no quantization; nearest: 'fp16'."


def test_a_quantization_may_be_a_member() -> None:
    assert parse_quantizations(Quantization.INT8) == {Quantization.INT8}


@pytest.mark.parametrize(("value", "expected"), [(None, None), (4, (4, 4)), ((1, 8), (1, 8))])
def test_a_batch_size_is_a_number_or_a_range(value: object, expected: object) -> None:
    assert parse_batch_size(value) == expected


@pytest.mark.parametrize("value", [0, -1, (8, 1), (1, 2, 3), "4", 2.0, True and [1, 2]])
def test_other_batch_sizes_are_refused(value: object) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        parse_batch_size(value)
    assert str(caught.value) == (
        f"batch_size={value!r} makes no sense.\nneeds a positive whole number, or (smallest, largest); found: {value!r}"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), ("auto", None), ("CPU", "cpu"), ("cuda:1", "cuda:1")],
)
def test_a_device_is_a_name(value: object, expected: str | None) -> None:
    assert parse_device(value) == expected


def test_a_device_may_be_one_of_torch() -> None:
    torch = pytest.importorskip("torch")
    assert parse_device(torch.device("cuda", 0)) == "cuda:0"


@pytest.mark.parametrize("value", ["gpu", "cuda:x", 0])
def test_other_devices_are_refused(value: object) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        parse_device(value)
    assert str(caught.value) == (
        f"device={value!r} makes no sense.\nneeds 'auto', 'cpu', 'cuda', 'cuda:<number>' or 'mps'; found: {value!r}"
    )


def test_a_request_describes_itself() -> None:
    assert PackageRequest().describe() == "any backend, any quantization, device=auto"
    request = PackageRequest(backends=parse_backends(["trt", "onnx"]), device="cuda:0")
    assert request.describe() == "backend onnx or trt, any quantization, device=cuda:0"
