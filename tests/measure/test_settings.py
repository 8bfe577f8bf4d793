from __future__ import annotations

import pytest

from inference_models.entities import BackendType, ModelMetadata, ModelPackageMetadata
from inference_models.loading.address import LoadRequest
from inference_models.machine.environment import Environment, Gpu
from inference_models.measure import settings
from inference_models.measure.settings import default_first, plans_to_measure, thread_counts
from inference_models.negotiate.case import Candidate
from inference_models.negotiate.choose import Choice, Verdict
from inference_models.negotiate.request import PackageRequest
from inference_models.options import LoadOptions

CPU, CUDA, AZURE = "CPUExecutionProvider", "CUDAExecutionProvider", "AzureExecutionProvider"
PACKAGE = ModelPackageMetadata("a", BackendType.ONNX, [])


def choice_of(*runtimes: BackendType) -> Choice:
    verdicts = tuple(Verdict(Candidate(PACKAGE, runtime), (), runs=True) for runtime in runtimes)
    model = ModelMetadata("m", "yolov8", [PACKAGE])
    return Choice(model, PackageRequest(), Environment(system="s", python="3.11"), verdicts)


def planned(
    *runtimes: BackendType,
    providers: tuple[str, ...] = (CPU, AZURE),
    gpus: tuple[Gpu, ...] = (),
    device: str | None = None,
    named: tuple[object, ...] | None = None,
    threads: int | None = None,
) -> list[tuple[str, int | None, tuple[str, ...] | None]]:
    choice = choice_of(*runtimes)
    load = LoadRequest(options=LoadOptions(threads=threads), device=device, execution_providers=named)
    environment = Environment(system="s", python="3.11", gpus=gpus, execution_providers=providers)
    plans = plans_to_measure(choice, load, environment)
    return [(plan.candidate.runtime.value, plan.threads, plan.execution_providers) for plan in plans]


@pytest.fixture(autouse=True)
def _four_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "usable_cpus", lambda: 4)


def test_threads_are_one_half_and_all_each_once() -> None:
    assert [thread_counts(cpus) for cpus in (1, 2, 3, 4, 64)] == [(1,), (1, 2), (1, 3), (1, 2, 4), (1, 32, 64)]


def test_every_candidate_with_every_number_of_threads_in_the_declared_order() -> None:
    assert planned(BackendType.ONNX, BackendType.OPENVINO) == [
        ("onnx", 1, None),
        ("onnx", 2, None),
        ("onnx", 4, None),
        ("openvino", 1, None),
        ("openvino", 2, None),
        ("openvino", 4, None),
    ]


def test_every_local_execution_provider_and_threads_only_on_the_cpu() -> None:
    gpu = (Gpu(name="NVIDIA L4"),)
    assert planned(BackendType.ONNX, providers=(CUDA, AZURE, CPU), gpus=gpu) == [
        ("onnx", None, (CUDA,)),
        ("onnx", 1, (CPU,)),
        ("onnx", 2, (CPU,)),
        ("onnx", 4, (CPU,)),
    ]


@pytest.mark.parametrize(
    ("fixed", "plans"),
    [
        ({"threads": 3}, [("onnx", None, (CUDA,)), ("onnx", None, (CPU,))]),
        ({"device": "cpu"}, [("onnx", 1, None), ("onnx", 2, None), ("onnx", 4, None)]),
        ({"device": "cuda:1"}, [("onnx", None, None)]),
        ({"named": ((CUDA, {"device_id": 1}),)}, [("onnx", None, None)]),
        ({"named": (CPU,)}, [("onnx", 1, None), ("onnx", 2, None), ("onnx", 4, None)]),
        ({"named": (CPU,), "threads": 1}, [("onnx", None, None)]),
    ],
)
def test_what_the_caller_fixed_is_not_varied(fixed: dict[str, object], plans: list[object]) -> None:
    assert planned(BackendType.ONNX, providers=(CUDA, CPU), gpus=(Gpu(name="NVIDIA L4"),), **fixed) == plans


def test_execution_providers_of_the_environment_variable_are_not_varied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXRUNTIME_EXECUTION_PROVIDERS", CPU)
    assert {providers for _, _, providers in planned(BackendType.ONNX, providers=(CUDA, CPU))} == {None}


def test_torch_on_a_gpu_and_code_of_a_package_have_no_threads_to_vary() -> None:
    gpu = (Gpu(name="NVIDIA L4"),)
    assert planned(BackendType.TORCH, BackendType.CUSTOM, gpus=gpu) == [("torch", None, None), ("custom", None, None)]
    assert planned(BackendType.TORCH, gpus=gpu, device="cpu") == [
        ("torch", 1, None),
        ("torch", 2, None),
        ("torch", 4, None),
    ]


def test_the_usual_setting_of_each_candidate_is_looked_at_first() -> None:
    choice = choice_of(BackendType.ONNX, BackendType.OPENVINO)
    load = LoadRequest(options=LoadOptions())
    plans = plans_to_measure(choice, load, Environment(system="s", python="3.11"))
    assert default_first(plans) == [2, 5, 0, 1, 3, 4]
