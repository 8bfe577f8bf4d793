"""The weights of a network in PyTorch are there once, and are given back when the model is closed."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch", reason="networks run in PyTorch")
pytest.importorskip("transformers", reason="needs Transformers")

import test_transformers_folders as networks
from inference_models import AutoModel

if TYPE_CHECKING:
    from pathlib import Path


def test_a_closed_model_holds_no_weights(tmp_path: Path) -> None:
    networks.saved(tmp_path, *networks.classifiers()["vit"]())
    model = AutoModel.from_pretrained(str(tmp_path))
    (network,) = model.opened.session.network.modules
    parameters = [weakref.ref(parameter) for parameter in network.parameters()]
    places = {parameter().untyped_storage().data_ptr() for parameter in parameters}
    model(networks.photograph())
    model(networks.photograph())
    assert {parameter.untyped_storage().data_ptr() for parameter in network.parameters()} == places
    del network
    model.close()
    gc.collect()
    assert [parameter for parameter in parameters if parameter() is not None] == []
