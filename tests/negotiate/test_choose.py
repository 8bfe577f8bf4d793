from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from inference_models.backends import probe_environment
from inference_models.entities import (
    BackendType,
    InlineFileSpecs,
    LocalFileArtefactSpecs,
    ModelPackageMetadata,
    ONNXPackageDetails,
    PackageSourceType,
    Quantization,
)
from inference_models.errors import (
    AmbiguousModelPackageResolutionError,
    NoCompatiblePackageError,
    NoModelPackagesAvailableError,
    Rejection,
)
from inference_models.negotiate.case import package_name
from inference_models.negotiate.checks import CHECKS
from inference_models.negotiate.choose import negotiate
from inference_models.negotiate.explain import choose_packages
from inference_models.negotiate.request import PackageRequest
from negotiate.packages import FUSED, MACHINE, SERVER, V, engine, model, package, torch_script


def chosen(*packages, request=None, machine=MACHINE):
    return [
        item.package_id for item in choose_packages(model(*packages), request or PackageRequest(), machine).packages
    ]


def test_the_one_that_fits_is_chosen_and_the_others_keep_their_reasons() -> None:
    choice = choose_packages(model(engine("trt1"), package("onnx1")), PackageRequest(), MACHINE)
    assert [item.package_id for item in choice.packages] == ["onnx1"]
    assert [(item.package_id, item.check) for item in choice.rejections if item.runtime is None] == [
        ("trt1", "implementation"),
        ("trt1", "device"),
        ("trt1", "tensorrt_version"),
    ]
    assert choice.overridden == ()


def test_a_package_is_judged_with_every_runtime_that_reads_it() -> None:
    machine = replace(MACHINE, runtimes={**MACHINE.runtimes, BackendType.OPENVINO: V("2026.4")})
    admissible = choose_packages(model(package("p")), PackageRequest(), machine).admissible
    assert [item.runtime for item in admissible] == [BackendType.ONNX, BackendType.OPENVINO]
    request = PackageRequest(backends=frozenset({BackendType.OPENVINO}))
    choice = choose_packages(model(package("p")), request, machine)
    assert [item.label for item in choice.admissible] == ["package p (onnx fp32) in OpenVINO"]
    assert choice.rejections == (Rejection("p", "backend", "backend openvino", "onnx", 'backend="onnx"'),)


@pytest.mark.parametrize(
    ("described", "name"),
    [
        (package("local", package_artefacts=[LocalFileArtefactSpecs("weights.onnx", Path("/m/a.onnx"))]), "a.onnx"),
        (package("7c20", package_artefacts=[InlineFileSpecs("weights.onnx", "")]), "weights.onnx of 7c20 (fp32)"),
        (package("7c20", quantization=Quantization.UNKNOWN, package_artefacts=[InlineFileSpecs("weights.onnx", "")]),
         "weights.onnx of 7c20"),
        (package("local", package_artefacts=[LocalFileArtefactSpecs("encoder.onnx", Path("/m/ocr/encoder.onnx"))]),
         "folder ocr"),
        (engine("a1f3", quantization=None), "package a1f3 (trt)"),
    ],
)  # fmt: skip
def test_a_package_is_called_as_people_call_it(described: ModelPackageMetadata, name: str) -> None:
    assert package_name(described) == name


def test_the_text_of_a_failed_negotiation_lists_every_reason_and_the_fewest_steps() -> None:
    machine = replace(MACHINE, runtimes={})
    candidates = model(package("7c20"), package("9d11", trusted_source=False))
    with pytest.raises(NoCompatiblePackageError) as caught:
        choose_packages(candidates, PackageRequest(backends=frozenset({BackendType.ONNX})), machine)
    lines = str(caught.value).splitlines()
    assert lines[0] == "m: none of 2 packages can run here."
    assert "  you asked for  backend onnx, any quantization, device=auto" in lines
    assert '  fewest steps   1. pip install "onnxruntime>=1.19"' in lines
    native = [(item.package_id, item.check) for item in caught.value.rejections if item.runtime is None]
    assert native == [("7c20", "runtime"), ("9d11", "trust"), ("9d11", "runtime")]


def test_an_unknown_architecture_is_a_reason_with_the_nearest_name() -> None:
    with pytest.raises(NoCompatiblePackageError) as caught:
        choose_packages(model(package("p"), architecture="yolov13"), PackageRequest(), MACHINE)
    rejection = caught.value.rejections[0]
    assert rejection.needs == "a family for yolov13 that does object-detection"
    assert rejection.found.startswith("no family handles architecture 'yolov13'; nearest: 'yolov1")


def test_an_unknown_task_is_a_reason_and_code_packages_need_neither() -> None:
    refused = negotiate(model(package("p"), task=None), PackageRequest(), MACHINE).verdicts[0]
    assert refused.rejections[0].needs.startswith("one task: classification, instance-segmentation, ")
    code = model(package("p", backend=BackendType.CUSTOM), architecture="custom", task=None)
    assert choose_packages(code, PackageRequest(), MACHINE).packages


def test_a_model_without_packages_says_so() -> None:
    with pytest.raises(NoModelPackagesAvailableError, match=r"^model 'm' exists but has no packages.$"):
        choose_packages(model(), PackageRequest(), MACHINE)


def test_a_package_id_that_the_model_does_not_have_names_the_nearest() -> None:
    with pytest.raises(NoModelPackagesAvailableError) as caught:
        choose_packages(model(package("onnx1"), package("trt1")), PackageRequest(package_id="onnx2"), MACHINE)
    assert (
        str(caught.value)
        == "model 'm' has no package 'onnx2'; nearest: 'onnx1'.\nleave model_package_id out, or name one of them"
    )


def test_a_package_id_that_two_packages_have_is_ambiguous() -> None:
    twins = model(package("p"), package("p", quantization=Quantization.FP16))
    with pytest.raises(AmbiguousModelPackageResolutionError) as caught:
        choose_packages(twins, PackageRequest(package_id="p"), MACHINE)
    assert str(caught.value) == (
        "model 'm' has several packages 'p'.\n"
        "needs one package of that id; found: 2 of them\n"
        "choose by backend and quantization, and leave model_package_id out"
    )
    assert len(choose_packages(twins, PackageRequest(), MACHINE).admissible) >= 2


@pytest.mark.parametrize(
    ("changes", "machine"),
    [
        ({"quantization": Quantization.INT8}, MACHINE),
        ({"model_features": {"nms_fused": FUSED}}, MACHINE),
        ({"model_features": {"nms_fused": {}}}, MACHINE),
    ],
)
def test_defaults_say_nothing_about_a_package_that_is_named(changes, machine) -> None:
    special = package("p", **changes)
    assert chosen(special, request=PackageRequest(package_id="p"), machine=machine) == ["p"]
    with pytest.raises(NoCompatiblePackageError):
        chosen(special, machine=machine)


@pytest.mark.parametrize("wish", [None, True])
@pytest.mark.parametrize("stated", [True, FUSED])
def test_a_file_of_the_user_may_hold_the_suppression(wish, stated) -> None:
    own = package("local", model_features={"nms_fused": stated}, package_source=PackageSourceType.LOCAL_CACHE)
    assert chosen(own, request=PackageRequest(nms_fusion=wish)) == ["local"]


@pytest.mark.parametrize(
    "changes",
    [
        {"dynamic_batch_size_supported": None, "static_batch_size": None, "backend": BackendType.ONNX},
        {"onnx_package_details": None},
        {"quantization": None},
        {"quantization": Quantization.UNKNOWN},
    ],
)
def test_what_a_package_does_not_state_is_not_held_against_it(changes) -> None:
    assert chosen(package("p", **changes), request=PackageRequest(batch_size=(4, 8), device="cpu")) == ["p"]


def test_a_runtime_newer_than_this_release_is_trusted_with_any_operator_set() -> None:
    newer = replace(MACHINE, runtimes={BackendType.ONNX: V("1.99")})
    assert chosen(package("p", onnx_package_details=ONNXPackageDetails(90)), machine=newer) == ["p"]


def test_providers_with_options_count_by_their_name() -> None:
    from inference_models.negotiate.request import build_request
    from inference_models.options import LoadOptions

    pairs = [("CUDAExecutionProvider", {"device_id": 0}), "CPUExecutionProvider"]
    assert chosen(package("p"), request=build_request(LoadOptions(), onnx_execution_providers=pairs), machine=SERVER)


def test_who_names_execution_providers_gets_no_other_runtime_unasked() -> None:
    machine = replace(MACHINE, runtimes={**MACHINE.runtimes, BackendType.OPENVINO: V("2026.4")})
    request = PackageRequest(execution_providers=("CUDAExecutionProvider",))
    with pytest.raises(NoCompatiblePackageError) as caught:
        choose_packages(model(package("p")), request, machine)
    assert caught.value.rejections[1:] == (
        Rejection(
            "p",
            "backend",
            "ONNX Runtime, whose execution providers were named",
            "openvino",
            "leave onnx_execution_providers out",
            BackendType.OPENVINO,
        ),
    )
    request = PackageRequest(
        execution_providers=("CPUExecutionProvider",), backends=frozenset({BackendType.OPENVINO, BackendType.LITERT})
    )
    with pytest.raises(NoCompatiblePackageError) as caught:  # which a named runtime does not have
        choose_packages(model(package("p")), request, machine)
    assert [item.fix for item in caught.value.rejections] == ['backend="onnx"', "leave onnx_execution_providers out"]


def test_the_cpu_may_stand_in_for_a_device_where_that_is_allowed() -> None:
    request = PackageRequest(device="cuda:0", allow_fallback=True)
    assert chosen(package("a"), torch_script("b"), request=request) == ["a", "b"]


class TestForce:
    BIG_BATCH = package("p", dynamic_batch_size_supported=False, static_batch_size=16)

    def test_a_named_package_is_refused_without_it(self) -> None:
        with pytest.raises(NoCompatiblePackageError):
            chosen(self.BIG_BATCH, request=PackageRequest(package_id="p", batch_size=(4, 4)))

    def test_reasons_are_kept_where_it_overrides_them(self) -> None:
        request = PackageRequest(package_id="p", batch_size=(4, 4), backends=frozenset({BackendType.ONNX}), force=True)
        choice = choose_packages(model(self.BIG_BATCH, package("q")), request, MACHINE)
        assert [item.package_id for item in choice.packages] == ["p"]
        assert choice.overridden == (Rejection("p", "batch_size", "batch 4", "static batch 16", "batch_size=16"),)
        assert {item.check for item in choice.rejections} >= {"package_id"}

    def test_it_opens_with_a_runtime_that_is_here(self) -> None:
        request = PackageRequest(package_id="p", batch_size=(4, 4), force=True)
        both = {**MACHINE.runtimes, BackendType.OPENVINO: V("2026.4")}
        only_openvino = {**both, BackendType.ONNX: None}
        for runtimes, expected in (
            (MACHINE.runtimes, BackendType.ONNX),
            (both, BackendType.ONNX),
            (only_openvino, BackendType.OPENVINO),
        ):
            choice = choose_packages(model(self.BIG_BATCH), request, replace(MACHINE, runtimes=runtimes))
            assert [item.runtime for item in choice.admissible] == [expected]
            assert [item.check for item in choice.overridden] == ["batch_size"]

    def test_it_changes_nothing_where_something_fits(self) -> None:
        request = PackageRequest(package_id="p", force=True)
        assert choose_packages(model(package("p")), request, MACHINE).overridden == ()

    @pytest.mark.parametrize(
        ("special", "request_"),
        [
            (package("p", trusted_source=False), {}),
            (package("p", backend=BackendType.ULTRALYTICS), {}),
            (package("p", model_features={"resolution": 1}), {}),
            (package("p"), {"backends": frozenset({BackendType.TRT})}),
            (package("p"), {"required_capabilities": ("image_embeddings",)}),
        ],
    )
    def test_it_gives_no_consent_and_makes_nothing_of_what_cannot_be_run(self, special, request_) -> None:
        with pytest.raises(NoCompatiblePackageError):
            chosen(special, request=PackageRequest(package_id="p", force=True, **request_))

    def test_what_it_overrides_is_stated(self) -> None:
        assert {check.name for check in CHECKS if not check.can_force} == {
            "backend",
            "capabilities",
            "engine_host_code",
            "features",
            "implementation",
            "package_id",
            "platform",
            "trust",
        }


def test_checks_run_once_on_every_candidate_and_only_where_they_could_refuse(monkeypatch) -> None:
    from inference_models.negotiate import checks

    calls = Counter()

    def counted(function):
        def wrapper(case):
            calls[function.__name__] += 1
            return function(case)

        return wrapper

    monkeypatch.setattr(checks, "CHECKS", [replace(item, function=counted(item.function)) for item in CHECKS])
    counts = []
    for count in (50, 500):
        calls.clear()
        negotiate(
            model(*(torch_script(f"p{index}") for index in range(count))), PackageRequest(batch_size=(64, 64)), MACHINE
        )
        counts.append(dict(calls))
    assert counts[1] == {name: 10 * number for name, number in counts[0].items()}
    assert set(counts[0].values()) == {50}
    assert {"check_batch_size", "check_torch_version", "check_trust"} <= set(counts[0])
    assert not {"check_package_id", "check_capabilities", "check_features", "check_opset"} & set(counts[0])


def test_this_machine_is_probed_without_importing_a_runtime() -> None:
    import onnxruntime

    environment = probe_environment()
    assert str(environment.runtimes[BackendType.ONNX]) == onnxruntime.__version__
    assert environment.describe().startswith("linux ")


@pytest.mark.parametrize("consented", [False, True])
def test_without_its_runtime_an_archive_that_needs_consent_says_both(consented: bool) -> None:
    candidates = model(replace(torch_script(), trusted_source=True, package_source=PackageSourceType.LOCAL_CACHE))
    with pytest.raises(NoCompatiblePackageError) as caught:
        choose_packages(candidates, PackageRequest(code_consent=consented), replace(MACHINE, runtimes={}))
    text = str(caught.value)
    assert "pip install" in text
    assert ('allow_local_code_packages="sha256:..."' in text) is not consented


def test_the_nearest_task_is_written_where_the_wrong_one_was() -> None:
    folder = replace(package("p"), package_source=PackageSourceType.LOCAL_CACHE)
    bare = replace(folder, package_artefacts=[InlineFileSpecs("model_config.json", "{}")])
    for described, fix in (
        (folder, 'write in model_config.json: "task_type": "object-detection"'),
        (bare, 'task_type="object-detection"'),
    ):
        with pytest.raises(NoCompatiblePackageError) as caught:
            choose_packages(model(described, task="detection"), PackageRequest(), MACHINE)
        assert caught.value.rejections[0].fix == fix
    with pytest.raises(NoCompatiblePackageError) as caught:
        choose_packages(model(bare, architecture="yolov13x"), PackageRequest(), MACHINE)
    assert caught.value.rejections[0].fix.startswith('model_type="yolov1')
