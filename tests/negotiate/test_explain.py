"""The text of a failed negotiation, and of a load that is asked to tell what it does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inference_models.entities import BackendType, ModelMetadata
from inference_models.errors import NoCompatiblePackageError
from inference_models.machine.environment import Environment
from inference_models.negotiate.choose import choose_packages
from inference_models.negotiate.explain import explain_choice
from inference_models.negotiate.plan import Plan, Selection
from inference_models.negotiate.reasons import NO_STEPS
from inference_models.negotiate.request import PackageRequest
from negotiate.negotiations import CATS, ENGINE, GRAPH, HALF, NOTHING, ONLY_ONNX, SCRIPT, alone

HEAD = [
    "",
    "  this machine   linux x86_64, python 3.11, no CUDA device",
    "  you asked for  any backend, any quantization, device=auto",
    "",
]
ENGINE_REASONS = [
    "needs a backend for trt; found: none in this release",
    "needs a CUDA device; found: no CUDA device",
    "needs tensorrt 10.3.0; found: not installed",
]


def refusal(
    model: ModelMetadata, environment: Environment = NOTHING, request: PackageRequest | None = None
) -> list[str]:
    with pytest.raises(NoCompatiblePackageError) as caught:
        choose_packages(model, request or PackageRequest(), environment)
    return str(caught.value).splitlines()


def test_a_refusal_lists_every_reason_with_the_other_runtimes_as_alternatives() -> None:
    assert refusal(CATS) == [
        "no package of 'team/cats/3' can run here (4 packages, 4 rejected).",
        *HEAD,
        f"  a1f3  trt fp16           {ENGINE_REASONS[0]}",
        f"                           {ENGINE_REASONS[1]}",
        f"                           {ENGINE_REASONS[2]}",
        "  7c20  onnx fp32          needs onnxruntime>=1.19; found: not installed",
        "                           or openvino>=2025.0; found: not installed",
        "  9d11  onnx fp16          needs onnxruntime>=1.19; found: not installed",
        "                           or openvino>=2025.0; found: not installed",
        "  e055  torch-script fp32  needs torch>=2.6; found: not installed",
        "",
        '  fewest steps   7c20: pip install "inference-models[onnx-cpu]"',
    ]


def test_the_best_of_equally_short_ways_is_told_whatever_the_order_of_the_packages() -> None:
    last = '  fewest steps   7c20: pip install "inference-models[onnx-cpu]"'
    assert refusal(alone(SCRIPT, HALF, GRAPH))[-1] == last
    assert refusal(alone(GRAPH, HALF, SCRIPT))[-1] == last


def test_the_way_through_another_runtime_says_so() -> None:
    request = PackageRequest(backends=frozenset({BackendType.OPENVINO}))
    assert refusal(alone(GRAPH), NOTHING, request)[-3:] == [
        "  7c20  onnx fp32  needs openvino>=2025.0; found: not installed",
        "",
        '  fewest steps   7c20 through openvino: pip install "inference-models[openvino]"',
    ]


def test_nothing_is_promised_where_nothing_helps() -> None:
    assert refusal(alone(ENGINE)) == [
        "no package of 'team/cats/3' can run here (1 package, 1 rejected).",
        *HEAD,
        f"  a1f3  trt fp16  {ENGINE_REASONS[0]}",
        f"                  {ENGINE_REASONS[1]}",
        f"                  {ENGINE_REASONS[2]}",
        "",
        f"  fewest steps   none: {NO_STEPS}",
    ]


def test_packages_that_say_the_same_are_told_as_one() -> None:
    engines = [replace(ENGINE, package_id=f"e{number}") for number in range(20)]
    assert refusal(alone(GRAPH, *engines))[5:] == [
        "  7c20  onnx fp32             needs onnxruntime>=1.19; found: not installed",
        "                              or openvino>=2025.0; found: not installed",
        f"  e0  trt fp16, like 19 more  {ENGINE_REASONS[0]}",
        f"                              {ENGINE_REASONS[1]}",
        f"                              {ENGINE_REASONS[2]}",
        "",
        '  fewest steps   7c20: pip install "inference-models[onnx-cpu]"',
    ]


def test_the_reasons_of_packages_with_long_ids_stand_below_them() -> None:
    assert refusal(alone(replace(SCRIPT, package_id="0123456789abcdef" * 2)))[5:7] == [
        "  0123456789abcdef0123456789abcdef  torch-script fp32",
        "      needs torch>=2.6; found: not installed",
    ]


def test_what_signs_an_address_is_not_told() -> None:
    model = replace(alone(SCRIPT), model_id="https://x/m.json?X-Signature=canary#cats")
    assert refusal(model)[0] == "no package of 'https://x/m.json#cats' can run here (1 package, 1 rejected)."


def test_a_package_cannot_write_lines_of_its_own() -> None:
    lines = refusal(alone(replace(SCRIPT, package_id="a\n  fewest steps   rm -rf ~\x1b[2J")))
    assert lines[5].startswith("  a fewest steps rm -rf ~\\x1b[2J  torch-script fp32")


def test_a_choice_tells_what_is_tried_first_and_every_reason_against_the_rest() -> None:
    choice = choose_packages(CATS, PackageRequest(), ONLY_ONNX)
    text = explain_choice(
        CATS, choice, Selection((Plan(choice.admissible[1]),), "measured"), PackageRequest(), ONLY_ONNX
    )
    assert text.splitlines() == [
        "'team/cats/3': 9d11 onnx fp16 is tried first, the fastest measured on this machine (2 of 4 packages can run).",
        "",
        "  this machine   linux x86_64, python 3.11, onnx runtime 1.32.0, no CUDA device",
        "  you asked for  any backend, any quantization, device=auto",
        "",
        f"  a1f3  trt fp16           {ENGINE_REASONS[0]}",
        f"                           {ENGINE_REASONS[1]}",
        f"                           {ENGINE_REASONS[2]}",
        "  7c20  onnx fp32          runs with onnx, choice 1",
        "                           with openvino: needs openvino>=2025.0; found: not installed",
        "  9d11  onnx fp16          runs with onnx, choice 2",
        "                           with openvino: needs openvino>=2025.0; found: not installed",
        "  e055  torch-script fp32  needs torch>=2.6; found: not installed",
    ]


def test_a_forced_choice_keeps_its_reasons() -> None:
    request = PackageRequest(package_id="7c20", device="cuda:0", force=True)
    choice = choose_packages(CATS, request, ONLY_ONNX)
    text = explain_choice(CATS, choice, Selection((Plan(choice.admissible[0]),), "package id"), request, ONLY_ONNX)
    assert "7c20 onnx fp32 is tried first, the package you named" in text
    assert "although it needs" in text
