from __future__ import annotations

import json
from importlib.resources import files

import msgspec
import pytest

from inference_models.catalogue import Catalogue, open_catalogue
from inference_models.errors import ModelNotFoundError
from inference_models.files.names import check_handles, check_package_id
from inference_models.package.inference_config import parse_inference_config

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
        open_catalogue().find("centreface")
    assert str(caught.value) == "the open catalogue has no model 'centreface'; nearest: 'centerface'."


@pytest.mark.parametrize(
    ("fixture", "model_id"),
    [
        ("centerface_onnx", "centerface"),
        ("picodet_onnx", "picodet-layout-cdla"),
        ("pplcnet_onnx", "pplcnet-page-orientation"),
    ],
)
def test_the_facts_agree_with_the_weights(request, fixture, model_id):
    from inference_models.files.digest import file_sha256
    from inference_models.package.onnx_file import read_onnx_file

    path = request.getfixturevalue(fixture)
    package = open_catalogue().find(model_id).packages[0]
    graph = read_onnx_file(path)
    assert (file_sha256(path), path.stat().st_size) == (package.files[0].sha256, package.files[0].size)
    assert graph.opset == package.opset
    if not package.inference_config.get("free_input_dims"):
        assert graph.inputs[0].shape[0] == package.static_batch_size
