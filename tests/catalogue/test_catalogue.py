from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from inference_models.catalogue import Catalogue, open_catalogue
from inference_models.errors import ModelNotFoundError
from inference_models.files.digest import file_sha256
from inference_models.files.names import check_handles, check_package_id
from inference_models.package.inference_config import parse_inference_config
from inference_models.package.onnx_file import read_onnx_file

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "images" / "catalogue"
TEXT = (files("inference_models.catalogue") / "open_catalogue.json").read_text("utf-8")
RAW = json.loads(TEXT)
# Licences under which weights may be passed on and used for anything.
FREE = {"Apache-2.0", "BSD-3-Clause", "MIT"}


def test_the_file_fits_its_schema_and_is_kept_in_one_form():
    assert open_catalogue() == msgspec.convert(RAW, Catalogue)
    assert json.dumps(RAW, indent=2, ensure_ascii=False) + "\n" == TEXT


def test_ids_are_sorted():
    assert list(RAW["models"]) == sorted(RAW["models"])


def test_a_key_that_is_not_known_is_refused():
    with pytest.raises(msgspec.ValidationError, match="unknown field `trust`"):
        msgspec.convert({**RAW, "trust": True}, Catalogue)


@pytest.mark.parametrize("model_id", sorted(RAW["models"]))
def test_every_entry_makes_a_package_that_can_be_stored_and_read(model_id):
    model = open_catalogue().find(model_id)
    assert model.license in FREE
    if isinstance(model.class_names, list):
        assert len(set(model.class_names)) == len(model.class_names)
    for package in model.packages:
        check_package_id(package.package_id)
        check_handles([file.handle for file in package.files])
        config = parse_inference_config(json.dumps(package.inference_config))
        assert config.preprocess.size is not None
        assert package.dynamic_batch_size_supported == (package.static_batch_size is None)
        assert config.forward_pass.static_batch_size == package.static_batch_size


def test_an_unknown_id_names_the_nearest():
    with pytest.raises(ModelNotFoundError) as caught:
        open_catalogue().find("blazepos-full")
    assert str(caught.value) == "the open catalogue has no model 'blazepos-full'; nearest: 'blazepose-full'."


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("model_id", sorted(RAW["models"]))
def test_the_facts_agree_with_the_weights(catalogue_files, model_id):
    package = open_catalogue().find(model_id).packages[0]
    files = catalogue_files(model_id)
    for member in package.files:
        path = files[member.handle]
        assert (file_sha256(path), path.stat().st_size) == (member.sha256, member.size)
    if package.backend.value != "onnx":
        return
    graph = read_onnx_file(next(path for handle, path in files.items() if handle.endswith(".onnx")))
    assert graph.opset == package.opset
    assert graph.quantization is package.quantization
    if not package.inference_config.get("free_input_dims"):
        assert graph.inputs[0].shape[0] == package.static_batch_size


@pytest.mark.parametrize("model_id", sorted(RAW["models"]))
def test_docs_show_a_small_picture_of_every_model(model_id):
    path = PICTURES / f"{model_id}.jpg"
    assert path.stat().st_size <= 60_000
    with Image.open(path) as picture:
        assert max(picture.size) <= 480
    assert f"images/catalogue/{path.name}" in (PICTURES.parent.parent / "models.md").read_text("utf-8")
