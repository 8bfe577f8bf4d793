from __future__ import annotations

import json
import socket
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="Transformers runs in PyTorch")
pytest.importorskip("transformers", reason="needs Transformers")

import torch
import transformers

from backends.contract import SessionContract
from inference_models.backends import hugging_face as backend
from inference_models.backends.session import InputHint, SessionRequest
from inference_models.errors import (
    CorruptedModelPackageError,
    MissingDependencyError,
    ModelImplementationNotFoundError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.backends.session import Session

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
HINT = InputHint((None, 3, 16, 16), (3, 16, 16))


def vit() -> Any:
    torch.manual_seed(0)
    config = transformers.ViTConfig(**SIZES, image_size=16, patch_size=8, num_labels=3)
    return transformers.ViTForImageClassification(config).eval()


def saved(folder: Path, **options: Any) -> Path:
    vit().save_pretrained(folder, **options)
    return folder


def opened(folder: Path) -> Session:
    files = {path.name: path for path in folder.iterdir()}
    return backend.open_session(SessionRequest(directory=folder, files=files, input_hint=HINT))


def change(folder: Path, **stated: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **stated}))


def refusal(folder: Path, error: type[Exception] = CorruptedModelPackageError) -> list[str]:
    with pytest.raises(error) as caught:
        opened(folder)
    return str(caught.value).splitlines()


class TestTransformersSession(SessionContract):
    @pytest.fixture
    def session(self, tmp_path: Path) -> Session:
        return opened(saved(tmp_path))


@pytest.mark.parametrize("form", ["whole", "shards", "pickle"])
def test_heads_have_their_names_and_the_numbers_of_transformers(tmp_path: Path, form: str) -> None:
    saved(tmp_path, max_shard_size="5KB" if form == "shards" else "1GB")
    if form == "pickle":
        torch.save(vit().state_dict(), tmp_path / "pytorch_model.bin")
        (tmp_path / "model.safetensors").unlink()
    session = opened(tmp_path)
    images = np.random.default_rng(0).random((2, 3, 16, 16), np.float32)
    with torch.no_grad():
        expected = vit()(torch.from_numpy(images)).logits
    (name, answer), *rest = session.run({"pixel_values": images}).items()
    assert (name, rest) == ("logits", [])
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-6)  # transformers 5.24, torch 2.13


def test_nothing_is_fetched_and_nothing_is_written_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(saved(tmp_path), _attn_implementation="owner/kernel", use_kernels=True)
    monkeypatch.setattr(socket, "socket", None)
    capfd.readouterr()
    opened(tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("key", "value", "needs"),
    [
        ("auto_map", {"AutoModel": "code.Network"}, "needs a configuration without auto_map; found: auto_map: "),
        ("quantization_config", {"bits": 4}, "needs a configuration without quantization_config; found: "),
        ("architectures", ["os.system"], "needs architectures: one class of Transformers; found: 'os.system'"),
        ("architectures", ["pipeline"], "needs architectures: one class of Transformers; found: 'pipeline'"),
        ("architectures", None, "needs architectures: one class of Transformers; found: None"),
    ],
)
def test_what_would_need_code_is_refused_by_its_key(tmp_path: Path, key: str, value: object, needs: str) -> None:
    change(saved(tmp_path), **{key: value})
    assert refusal(tmp_path, ModelImplementationNotFoundError)[1].startswith(needs)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"intermediate_size": 48}, "of another shape: "),
        ({"num_hidden_layers": 3}, "missing: "),
        ({"num_hidden_layers": 1}, "unknown: "),
        ({"id2label": {"0": "a", "1": "b"}}, "classifier."),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers of at most 40, the number of tensors"),
        ({"hidden_size": 1 << 22}, " parameters; found: "),
        ({"hidden_size": "many"}, "the configuration of ViTForImageClassification; found: "),
    ],
)
def test_a_configuration_of_other_weights_is_refused_with_both_values(
    tmp_path: Path, stated: dict[str, Any], said: str
) -> None:
    change(saved(tmp_path), **stated)
    assert said in refusal(tmp_path)[1]


def test_an_index_that_lies_is_refused_with_the_tensor_and_the_file(tmp_path: Path) -> None:
    saved(tmp_path, max_shard_size="5KB")
    path = tmp_path / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    places = dict(index["weight_map"])
    first, last = min(places.values()), max(places.values())
    tensor = next(name for name, place in places.items() if place == first)
    path.write_text(json.dumps({**index, "weight_map": {**places, tensor: last}}))
    assert refusal(tmp_path)[1] == f"needs '{tensor}' in {last}; found: {last} without it"
    path.write_text(json.dumps({**index, "weight_map": {**places, tensor: "../../elsewhere"}}))
    assert refusal(tmp_path)[1].startswith("needs ../../elsewhere; found: ")
    path.write_text("{}")
    assert refusal(tmp_path)[1].startswith("needs weight_map: a file for each tensor")


NAMED = {"architectures": ["DetrForObjectDetection"], "model_type": "detr", "backbone_config": None}


@pytest.mark.parametrize(
    ("stated", "error", "last"),
    [
        ({"backbone": "resnet18"}, MissingDependencyError, "pip install timm"),
        (
            {"backbone": "resnet18", "backbone_kwargs": {"out_indices": [1, 2, 3, 4]}, "use_timm_backbone": True},
            MissingDependencyError,
            "pip install timm",
        ),
        ({"backbone": "owner/name"}, ModelImplementationNotFoundError, "network.save_pretrained(folder)"),
        (
            {"backbone": "resnet18", "use_timm_backbone": False},
            ModelImplementationNotFoundError,
            "network.save_pretrained(folder)",
        ),
    ],
)
def test_a_backbone_that_is_named_is_not_looked_for_on_the_hub(
    tmp_path: Path, stated: dict[str, Any], error: type[Exception], last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if error is MissingDependencyError and transformers.utils.is_timm_available():
        pytest.skip("timm is installed")
    saved(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**NAMED, **stated}))
    monkeypatch.setattr(socket, "socket", None)
    assert refusal(tmp_path, error)[-1].endswith(last)


def test_a_library_that_the_network_needs_is_named(tmp_path: Path) -> None:
    if sys.modules.get("timm") or transformers.utils.is_timm_available():
        pytest.skip("timm is installed")
    saved(tmp_path)
    config = transformers.TimmWrapperConfig(
        architecture="resnet18", architectures=["TimmWrapperForImageClassification"]
    )
    (tmp_path / "config.json").write_text(config.to_json_string())
    assert refusal(tmp_path, MissingDependencyError)[-1] == "pip install timm"


def test_a_backbone_in_a_folder_with_a_layer_beside_it_gives_logits(tmp_path: Path) -> None:
    config = transformers.ViTConfig(**SIZES, image_size=16, patch_size=8)
    backbone = transformers.ViTModel(config, add_pooling_layer=False).eval()
    layer = torch.nn.Linear(16, 3)
    backbone.save_pretrained(tmp_path / "vit")
    torch.save(layer.state_dict(), tmp_path / "classifier_layer_weights.pth")
    files = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*.*")}
    request = SessionRequest(directory=tmp_path, files=files, input_hint=HINT)
    images = np.random.default_rng(0).random((2, 3, 16, 16), np.float32)
    with torch.no_grad():
        expected = layer(backbone(torch.from_numpy(images)).last_hidden_state[:, 0])
    (answer,) = backend.open_session(request).run({"pixel_values": images}).values()
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-6)
    torch.save(torch.nn.Linear(8, 3).state_dict(), tmp_path / "classifier_layer_weights.pth")
    with pytest.raises(CorruptedModelPackageError, match=r"needs weight \(classes, 16\) .*found: weight \(3, 8\)"):
        backend.open_session(request)
