from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from inference_models import providers
from inference_models.entities import FileDownloadSpecs, ModelMetadata
from inference_models.errors import ModelNotFoundError, ModelRetrievalError
from inference_models.providers import (
    DescribeOptions,
    ProviderRecord,
    find_record,
    get_model_from_provider,
    key_variables,
    known_providers,
    open_provider,
    provider_of_scheme,
    register_model_provider,
)
from inference_models.text import shown_url
from providers.published import SIDE, expected_scores, package_files
from scripted_server import served_files


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(providers, "_registered", {})


def described(model_id, api_key, **options):
    return ModelMetadata(model_id, f"{api_key} {sorted(options.items())}", [])


def test_a_file_of_the_folder_is_a_provider_with_a_record():
    folder = Path(providers.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if not path.name.startswith("_")}
    assert files == {"huggingface", "local", "roboflow", "wheel"}
    assert set(known_providers()) == files | {"az", "file", "fsspec", "gs", "http", "https", "s3"}
    records = {name: find_record(name) for name in known_providers()}
    assert {name for name, record in records.items() if record.offline} == {"file", "local", "wheel"}
    assert {name for name, record in records.items() if not record.remembered} == {"local", "wheel"}
    assert key_variables() == {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "ROBOFLOW_API_KEY"}


def test_records_are_read_without_the_http_library():
    code = (
        "import sys; from inference_models.providers import *; from inference_models import providers as p\n"
        "[p.find_record(name) for name in p.known_providers()]; print('httpx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


@pytest.mark.parametrize(
    ("scheme", "name"), [("s3", "s3"), ("https", "https"), ("memory", "fsspec"), ("shelf", "plug")]
)
def test_a_scheme_belongs_to_the_provider_whose_record_names_it(monkeypatch, scheme, name):
    class Entry:
        name = "plug"

        def load(self):
            return ProviderRecord(open=lambda: None, schemes=("shelf",))

    monkeypatch.setattr(providers, "entry_points", lambda group: [Entry()])
    assert provider_of_scheme(scheme) == name


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
    assert (
        str(caught.value) == "there is no weights provider 'whel'; nearest: 'wheel'.\npass weights_provider=\"wheel\""
    )


def test_a_handler_that_gives_something_else_is_refused():
    register_model_provider("mine", lambda *_, **__: {"model_id": "m"})
    with pytest.raises(ModelRetrievalError) as caught:
        get_model_from_provider("m", "mine")
    assert str(caught.value) == "provider 'mine' gave no description of 'm'.\nneeds ModelMetadata; found: dict"


def test_what_a_handler_raises_comes_back_with_the_name_of_its_provider_and_without_the_key():
    def failing(model_id, api_key, **_):
        raise LookupError(f"no licence for {model_id} with {api_key}")

    register_model_provider("mine", failing)
    with pytest.raises(ModelRetrievalError) as caught:
        get_model_from_provider("m", "mine", "s3cret")
    assert str(caught.value) == (
        "provider 'mine' failed to describe 'm'.\n"
        "needs its description; found: LookupError: no licence for m with [hidden]"
    )
    assert isinstance(caught.value.__cause__, LookupError)


def test_an_error_of_this_library_passes_as_the_handler_raised_it():
    def failing(model_id, api_key, **_):
        raise ModelNotFoundError("no such model here")

    register_model_provider("mine", failing)
    with pytest.raises(ModelNotFoundError, match=r"^no such model here$"):
        get_model_from_provider("m", "mine")


def test_a_handler_may_announce_files_of_this_machine_and_texts(tmp_path):
    pytest.importorskip("onnxruntime")
    from inference_models import AutoModel, developer_tools

    files = package_files(tmp_path)
    (tmp_path / "mine.onnx").write_bytes(files.pop("weights.onnx"))
    artefacts = [developer_tools.LocalFileArtefactSpecs("weights.onnx", tmp_path / "mine.onnx")]
    artefacts += [developer_tools.InlineFileSpecs(name, content.decode()) for name, content in files.items()]
    package = developer_tools.ModelPackageMetadata(
        "p1",
        developer_tools.BackendType.ONNX,
        artefacts,
        quantization=developer_tools.Quantization.FP32,
        onnx_package_details=developer_tools.ONNXPackageDetails(17),
        static_batch_size=1,
        trusted_source=True,
    )
    register_model_provider("mine", lambda *_, **__: ModelMetadata("m", "classifier", [package], "classification"))
    with AutoModel.from_pretrained("mine:m") as model:
        assert model.class_names == ["day", "night"]


def test_files_that_a_handler_announces_are_fetched_in_parts_without_the_key():
    register_model_provider("mine", described)
    with served_files({"/w.bin": b"0123456789"}) as server, closing(open_provider("mine")) as provider:
        file = FileDownloadSpecs(f"{server.url()}/w.bin?sig=1", "w.bin")
        provider.describe("m", DescribeOptions(api_key="secret", extra_headers=(("X-Team", "secret"),)))
        assert b"".join(provider.read(file)) == b"0123456789"
        stream = provider.open(file, start=2, stop=5)
        assert (stream.start, stream.size, stream.ranges, b"".join(stream.chunks)) == (2, 10, True, b"234")
        assert server.seen == [("/w.bin?sig=1", None, None)] * 2


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/w.bin", "w.bin"])
def test_a_handler_cannot_announce_what_is_no_web_address(url):
    register_model_provider("mine", described)
    with pytest.raises(ModelRetrievalError) as caught:
        open_provider("mine").read(FileDownloadSpecs(url, "w.bin"))
    assert str(caught.value) == (
        "provider 'mine' announces w.bin as a download that is none.\n"
        f"needs an http or https URL; found: {shown_url(url)!r}\n"
        "announce a file of this machine as LocalFileArtefactSpecs"
    )


def test_the_documented_provider_loads_a_model_and_predicts(tmp_path):
    pytest.importorskip("onnxruntime")
    files = package_files(tmp_path)
    listed = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in files.items()}
    shelf = {f"/day-night/{name}": content for name, content in files.items()}
    page = (Path(__file__).parents[2] / "docs/hosting.md").read_text("utf-8")
    code = page.partition("## Your own provider")[2].partition("```python\n")[2].partition("```")[0]
    with served_files(shelf | {"/day-night/files.json": json.dumps(listed).encode()}) as server:
        names: dict[str, object] = {}
        exec(compile(code.replace("https://models.example", server.url()), "hosting.md", "exec"), names)
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    prediction = names["model"](image, input_color_format="rgb")
    # No resize is needed, so only float32 in the graph differs from float64 here: 1e-5.
    np.testing.assert_allclose(np.asarray(prediction.confidence)[0], expected_scores(image), atol=1e-5)


@pytest.mark.parametrize("name", [None, 3])
def test_the_name_of_a_provider_is_text(name):
    with pytest.raises(TypeError, match=r"the name of a provider must be a str, not (NoneType|int)"):
        register_model_provider(name, described)


def test_the_key_is_never_shown():
    assert "secret" not in repr(DescribeOptions(api_key="secret", extra_headers=(("a", "secret"),)))
