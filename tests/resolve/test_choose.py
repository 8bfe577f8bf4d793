from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from inference_models.entities import BackendType, ModelMetadata, ModelPackageMetadata, Quantization
from inference_models.errors import NoCompatiblePackageError, NoModelPackagesAvailableError
from inference_models.resolve.choose import choose_packages
from inference_models.resolve.environment import Environment, probe_environment
from inference_models.resolve.request import PackageRequest

MACHINE = Environment(
    system="linux x86_64",
    python="3.11",
    runtimes={BackendType.ONNX: Version("1.32.0"), BackendType.NULL: Version("2.4")},
)


def package(package_id: str, **changes: object) -> ModelPackageMetadata:
    base = ModelPackageMetadata(
        package_id=package_id,
        backend=BackendType.ONNX,
        package_artefacts=[],
        quantization=Quantization.FP32,
        dynamic_batch_size_supported=True,
        trusted_source=True,
    )
    return replace(base, **changes)


def model(*packages: ModelPackageMetadata, architecture: str = "yolov8") -> ModelMetadata:
    return ModelMetadata("m", architecture, list(packages), task_type="object-detection")


def test_the_one_that_fits_is_chosen_and_the_others_keep_their_reasons() -> None:
    choice = choose_packages(
        model(package("trt1", backend=BackendType.TRT), package("onnx1")), PackageRequest(), MACHINE
    )
    assert [item.package_id for item in choice.packages] == ["onnx1"]
    assert {(item.package_id, item.check) for item in choice.rejections} == {
        ("trt1", "implementation"),
        ("trt1", "device"),
    }


def test_the_text_of_a_failed_negotiation_lists_every_reason_and_the_fewest_steps() -> None:
    machine = replace(MACHINE, runtimes={BackendType.ONNX: None})
    candidates = model(
        package("a1f3", backend=BackendType.TRT, quantization=Quantization.FP16),
        package("7c20"),
        package("9d11", trusted_source=False),
    )
    with pytest.raises(NoCompatiblePackageError) as caught:
        choose_packages(candidates, PackageRequest(), machine)
    assert str(caught.value) == "\n".join(
        [
            "no package of 'm' can run here (3 packages, 3 rejected).",
            "",
            "  this machine   linux x86_64, python 3.11, no CUDA device",
            "  you asked for  any backend, any quantization, device=auto",
            "",
            "  a1f3  trt fp16   needs a backend for trt; found: none in this release",
            "                   needs a CUDA device; found: no CUDA device",
            "  7c20  onnx fp32  needs onnxruntime>=1.19; found: not installed",
            "  9d11  onnx fp32  needs a trusted source; found: an untrusted one",
            "                   needs onnxruntime>=1.19; found: not installed",
            "",
            '  fewest steps   7c20: pip install "inference-models[onnx-cpu]"',
        ]
    )
    assert len(caught.value.rejections) == 5


@pytest.mark.parametrize(
    ("request_", "changes", "needs", "found"),
    [
        (PackageRequest(package_id="other"), {}, "package id other", "p"),
        (PackageRequest(backends=frozenset({BackendType.TORCH})), {}, "backend torch", "onnx"),
        (PackageRequest(quantizations=frozenset({Quantization.INT8})), {}, "quantization int8", "fp32"),
        (
            PackageRequest(quantizations=frozenset({Quantization.INT8})),
            {"quantization": None},
            "quantization int8",
            "not stated",
        ),
        (
            PackageRequest(batch_size=(4, 8)),
            {"dynamic_batch_size_supported": False, "static_batch_size": 1},
            "batch 4..8",
            "static batch 1",
        ),
        (PackageRequest(device="cuda:0"), {}, "a CUDA device", "no CUDA device"),
        (PackageRequest(), {"trusted_source": False}, "a trusted source", "an untrusted one"),
    ],
)
def test_each_check_says_what_it_needs_and_what_it_found(
    request_: PackageRequest, changes: dict[str, object], needs: str, found: str
) -> None:
    with pytest.raises(NoCompatiblePackageError) as caught:
        choose_packages(model(package("p", **changes)), request_, MACHINE)
    (rejection,) = caught.value.rejections
    assert (rejection.needs, rejection.found) == (needs, found)


def test_an_unknown_architecture_is_a_reason_with_the_nearest_name() -> None:
    with pytest.raises(NoCompatiblePackageError) as caught:
        choose_packages(model(package("p"), architecture="yolov13"), PackageRequest(), MACHINE)
    (rejection,) = caught.value.rejections
    assert rejection.needs == "a family for yolov13 that does object-detection"
    assert rejection.found.startswith("no family handles architecture 'yolov13'; nearest: 'yolov1")


def test_an_old_runtime_is_a_reason_with_both_versions() -> None:
    machine = replace(MACHINE, runtimes={BackendType.ONNX: Version("1.15.1")})
    with pytest.raises(NoCompatiblePackageError) as caught:
        choose_packages(model(package("p")), PackageRequest(), machine)
    (rejection,) = caught.value.rejections
    assert (rejection.needs, rejection.found) == ("onnxruntime>=1.19", "1.15.1")


def test_a_model_without_packages_says_so() -> None:
    with pytest.raises(NoModelPackagesAvailableError, match=r"^model 'm' exists but has no packages.$"):
        choose_packages(model(), PackageRequest(), MACHINE)


PACKAGES = st.builds(
    package,
    st.sampled_from("abcdefgh"),
    backend=st.sampled_from([BackendType.ONNX, BackendType.NULL, BackendType.TRT]),
    quantization=st.sampled_from(list(Quantization)),
    dynamic_batch_size_supported=st.booleans(),
    static_batch_size=st.sampled_from([1, 4]),
    trusted_source=st.booleans(),
)


@given(st.lists(PACKAGES, min_size=2, max_size=4, unique_by=lambda item: item.package_id))
@settings(max_examples=100, deadline=None)
def test_the_winner_does_not_depend_on_the_order_of_the_packages(packages: list[ModelPackageMetadata]) -> None:
    winners = set()
    for order in itertools.permutations(packages):
        try:
            winners.add(choose_packages(model(*order), PackageRequest(), MACHINE).packages[0].package_id)
        except NoCompatiblePackageError:
            winners.add("")
    assert len(winners) == 1


def test_this_machine_is_probed_without_importing_a_runtime() -> None:
    import onnxruntime

    environment = probe_environment()
    assert str(environment.runtimes[BackendType.ONNX]) == onnxruntime.__version__
    assert environment.describe().startswith("linux ")
