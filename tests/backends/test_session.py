"""What every session refuses, whatever runs it."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from inference_models.arrays import TensorSpec
from inference_models.backends import null
from inference_models.backends.session import BaseSession, SessionRequest, check_feeds, dtype_name, use_cpu_instead
from inference_models.errors import CorruptedModelPackageError, EnvironmentConfigurationError, ModelRuntimeError

IMAGES = TensorSpec("images", (None, 3, 8, 8), "float32")
SCALE = TensorSpec("scale", (1, 2), "int64")
ONE = np.zeros((1, 3, 8, 8), np.float32)


def refused(specs: list[TensorSpec], feeds: dict[str, object]) -> list[str]:
    with pytest.raises(ModelRuntimeError) as caught:
        check_feeds(specs, feeds)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("feed", "found"),
    [
        (np.zeros((1, 3, 8), np.float32), "(1, 3, 8) float32"),
        (np.zeros((1, 3, 8, 9), np.float32), "(1, 3, 8, 9) float32"),
        (np.zeros((), np.float32), "() float32"),
        (np.zeros((1, 4, 8, 8), np.float64), "(1, 4, 8, 8) float64"),
        *((ONE.astype(dtype), f"(1, 3, 8, 8) {dtype}") for dtype in ("float64", "float16", "uint8", "bool")),
    ],
)
def test_another_shape_or_number_format_is_refused(feed: np.ndarray, found: str) -> None:
    lines = refused([IMAGES], {"images": feed})
    assert lines[:2] == [
        "the feed for input 'images' does not fit.",
        f"needs (None, 3, 8, 8) float32; found: {found}",
    ]
    assert lines[2:] == (["convert the feed to float32"] if feed.shape == ONE.shape else [])


def test_missing_and_unknown_feeds_are_refused_by_name() -> None:
    assert refused([IMAGES, SCALE], {"images": ONE})[1] == "needs (1, 2) int64; found: nothing"
    feeds = {"images": ONE, "image_size": np.zeros(2), "scale": np.zeros((1, 2), np.int64)}
    assert refused([IMAGES, SCALE], feeds) == [
        "the graph has no input 'image_size'.",
        "needs images, scale; found: images, image_size, scale",
    ]
    check_feeds([IMAGES, SCALE], {"scale": np.zeros((1, 2), np.int64), "images": ONE})


def test_texts_are_left_to_the_runtime() -> None:
    for dtype in (str, object):
        check_feeds([TensorSpec("words", (None,), "str")], {"words": np.array(["a", "b"], dtype)})


def test_tensors_are_judged_like_arrays() -> None:
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.bfloat16):
        check_feeds([IMAGES], {"images": torch.zeros(2, 3, 8, 8, dtype=dtype)})
    lines = refused([IMAGES], {"images": torch.zeros(2, 3, 8, 8, dtype=torch.float64)})
    assert lines[1] == "needs (None, 3, 8, 8) float32; found: (2, 3, 8, 8) float64"
    assert dtype_name(torch.zeros(1, dtype=torch.bfloat16)) == "float32"


# PyTorch 2.13 warns about nested and quantised tensors.
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tensors_that_are_no_plain_blocks_of_numbers_are_refused() -> None:
    torch = pytest.importorskip("torch")
    plain = torch.zeros(1, 3, 8, 8)
    for tensor, found in (
        (plain.to("meta"), "a tensor without values"),
        (plain.to_sparse(), "a tensor with layout sparse_coo"),
        (torch.quantize_per_tensor(plain, 0.1, 0, torch.qint8), "a quantised tensor"),
        (torch.nested.nested_tensor([torch.zeros(3, 8, 8)]), "a nested tensor"),
        (torch.nested.nested_tensor([torch.zeros(3, 8), torch.zeros(2, 8)], layout=torch.jagged), "a nested tensor"),
        (torch.zeros(1).expand(1 << 20, 3, 8, 8), "a tensor that repeats its values"),
    ):
        assert refused([IMAGES], {"images": tensor})[1] == f"needs (None, 3, 8, 8) float32; found: {found}"


def test_a_graph_whose_tensors_this_machine_cannot_hold_is_refused() -> None:
    with pytest.raises(CorruptedModelPackageError, match=r"^one run of the graph does not fit .*: 'images' is \(1000"):
        Failing(None, (TensorSpec("images", (10**9, 3, 640, 640), "uint8"),), ())


class Failing(BaseSession):
    """A runtime that fails with what it is given."""

    runtime = null.RUNTIME

    def _run(self, opened: Exception, arrays: object) -> list[np.ndarray]:
        raise opened


@pytest.mark.parametrize("error", [ValueError("bad axis\nat 0x0"), RuntimeError("bad axis")])
def test_what_a_runtime_raises_becomes_an_error_with_the_feeds(error: Exception) -> None:
    with pytest.raises(ModelRuntimeError) as caught:
        Failing(error, (IMAGES,), ()).run({"images": ONE})
    assert str(caught.value) == (
        "the null backend failed while running the graph on images (1, 3, 8, 8) float32.\n"
        "needs images (None, 3, 8, 8) float32; found: bad axis"
    )
    assert caught.value.__cause__ is error


def test_what_is_an_error_of_ours_or_a_mistake_in_the_driver_stays_as_it_is() -> None:
    for error in (ModelRuntimeError("no tensor."), TypeError("a mistake")):
        with pytest.raises(type(error)) as caught:
            Failing(error, (IMAGES,), ()).run({"images": ONE})
        assert caught.value is error


def test_the_cpu_stands_in_for_a_device_only_where_that_is_allowed(caplog: pytest.LogCaptureFixture) -> None:
    request = SessionRequest(directory=Path(), files={}, device="npu")
    with pytest.raises(EnvironmentConfigurationError) as caught:
        use_cpu_instead(request, null.RUNTIME, ["cpu", "gpu"], needs="an NPU")
    assert str(caught.value) == (
        "device 'npu' cannot be used through the null backend here.\nneeds an NPU; found: cpu, gpu\ndevice='cpu'"
    )
    allowed = SessionRequest(directory=Path(), files={}, device="npu", allow_fallback=True)
    with caplog.at_level(logging.WARNING):
        use_cpu_instead(allowed, null.RUNTIME, ["cpu", "gpu"], needs="an NPU")
    assert [record.getMessage() for record in caplog.records] == [
        "the null backend cannot use device 'npu' (it finds cpu, gpu); the CPU is used."
    ]
