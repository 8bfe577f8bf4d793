from __future__ import annotations

import pytest

from inference_models import providers
from inference_models.entities import FileDownloadSpecs, ModelMetadata
from inference_models.errors import ModelRetrievalError
from inference_models.providers import (
    DescribeOptions,
    get_model_from_provider,
    known_providers,
    open_provider,
    register_model_provider,
)


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(providers, "_registered", {})


def described(model_id, api_key, **options):
    return ModelMetadata(model_id, f"{api_key} {sorted(options.items())}", [])


def test_files_of_the_folder_are_providers():
    assert {"local", "wheel"} <= set(known_providers())


def test_a_registered_handler_answers_with_key_and_options():
    register_model_provider("mine", described)
    metadata = get_model_from_provider("m", "mine", "key", weights_provider_extra_headers={"a": "b"})
    assert metadata.model_architecture == (
        "key [('weights_provider_extra_headers', {'a': 'b'}), ('weights_provider_extra_query_params', None)]"
    )
    assert "mine" in known_providers()


def test_a_second_registration_replaces_the_first():
    register_model_provider("mine", lambda *_, **__: pytest.fail("the first one was asked"))
    register_model_provider("mine", described)
    assert get_model_from_provider("m", "mine").model_id == "m"


@pytest.mark.parametrize("name", ["", "  ", "roboflow", "Roboflow-Offline-Weights", "WHEEL", "local"])
def test_names_that_are_taken_cannot_be_registered(name):
    with pytest.raises(ValueError, match="cannot be registered: it is blank or reserved"):
        register_model_provider(name, described)


def test_a_handler_must_be_callable():
    with pytest.raises(TypeError, match="the handler of provider 'x' must be callable, not int"):
        register_model_provider("x", 3)


def test_an_unknown_provider_is_named_with_the_nearest():
    with pytest.raises(ModelRetrievalError) as caught:
        get_model_from_provider("m", "whel")
    assert str(caught.value) == "there is no weights provider 'whel'; nearest: 'wheel'."


def test_a_handler_that_gives_something_else_is_refused():
    register_model_provider("mine", lambda *_, **__: {"model_id": "m"})
    with pytest.raises(ModelRetrievalError) as caught:
        get_model_from_provider("m", "mine")
    assert str(caught.value) == "provider 'mine' gave no description of 'm'.\nneeds ModelMetadata; found: dict"


def test_a_handler_cannot_be_read_from():
    register_model_provider("mine", described)
    with pytest.raises(ModelRetrievalError) as caught:
        open_provider("mine").read(FileDownloadSpecs("u", "w.bin"))
    assert str(caught.value) == (
        "provider 'mine' announces w.bin as a download.\n"
        "needs LocalFileArtefactSpecs or InlineFileSpecs, or a provider object with a read method; "
        "found: a handler that only describes"
    )


def test_the_key_is_never_shown():
    assert "secret" not in repr(DescribeOptions(api_key="secret", extra_headers=(("a", "secret"),)))
