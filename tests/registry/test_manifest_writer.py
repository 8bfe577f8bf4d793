from __future__ import annotations

import json
from contextlib import closing

import pytest
import typer
from typer.testing import CliRunner

from inference_models.cli.manifest import manifest
from inference_models.errors import CorruptedModelPackageError
from inference_models.providers import open_provider
from inference_models.registry.manifest_writer import write_manifest
from providers.published import package_files

CONFIG = {"model_architecture": "classifier", "task_type": "classification", "backend_type": "onnx"}


@pytest.fixture
def shelf(tmp_path):
    """`day-night` with two packages, and `alone` with one."""
    files = package_files(tmp_path / "made")
    for folder, quantization in (("day-night/fp32", "fp32"), ("day-night/int8", "int8"), ("alone", "fp16")):
        target = tmp_path / "shelf" / folder
        target.mkdir(parents=True)
        for handle, content in files.items():
            (target / handle).write_bytes(content)
        (target / "model_config.json").write_text(json.dumps(CONFIG | {"quantization": quantization}))
    return tmp_path / "shelf"


def test_what_is_written_can_be_loaded(shelf):
    written = write_manifest(shelf)
    assert sorted(written.models) == ["alone", "day-night"]
    with closing(open_provider("file")) as provider:
        metadata = provider.describe(f"{shelf.as_uri()}#day-night")
        assert [(p.package_id, p.quantization.value) for p in metadata.model_packages] == [
            ("fp32", "fp32"),
            ("int8", "int8"),
        ]
        for package in metadata.model_packages:
            assert (package.onnx_package_details.opset, package.dynamic_batch_size_supported) == (17, True)
            for item in package.package_artefacts:
                stored = shelf / "day-night" / package.package_id / item.file_handle
                assert b"".join(provider.read(item)) == stored.read_bytes()


def test_the_written_manifest_follows_the_schema(shelf):
    jsonschema = pytest.importorskip("jsonschema")
    from inference_models.package.manifest import manifest_schema

    write_manifest(shelf)
    jsonschema.validate(json.loads((shelf / "manifest.json").read_text()), manifest_schema())


def test_what_people_added_is_kept_and_the_rest_is_renewed(shelf):
    write_manifest(shelf)
    value = json.loads((shelf / "manifest.json").read_text())
    value["models"]["day-night"] |= {"license": "MIT", "source": "our camera", "architecture": "wrong"}
    (shelf / "manifest.json").write_text(json.dumps(value))
    (shelf / "day-night" / "fp32" / "class_names.txt").write_text("sun\nmoon\n")
    renewed = write_manifest(shelf).models["day-night"]
    assert (renewed.license, renewed.source, renewed.architecture) == ("MIT", "our camera", "classifier")
    sizes = {file.path: file.size for file in renewed.packages[0].files}
    assert sizes["day-night/fp32/class_names.txt"] == 9
    assert [path.name for path in shelf.iterdir() if path.name.startswith(".")] == []


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(CorruptedModelPackageError) as caught:
        write_manifest(tmp_path)
    assert str(caught.value) == (
        f"'{tmp_path}' holds no package.\n"
        "needs folders <id>/ or <id>/<package>/ with model_config.json; found: none that can be published"
    )


def test_an_earlier_manifest_that_is_none_is_not_overwritten(shelf):
    (shelf / "manifest.json").write_text("my notes")
    with pytest.raises(CorruptedModelPackageError, match=r"manifest\.json cannot be read"):
        write_manifest(shelf)
    assert (shelf / "manifest.json").read_text() == "my notes"


def test_the_command_says_what_it_wrote(shelf):
    app = typer.Typer()
    app.command()(manifest)
    result = CliRunner().invoke(app, [str(shelf)])
    assert result.exit_code == 0
    alone = json.loads((shelf / "manifest.json").read_text())["models"]["alone"]["packages"][0]["package_id"]
    assert result.output == (
        f"alone  {alone}  no licence stated\n"
        "day-night  fp32, int8  no licence stated\n"
        f"wrote {shelf / 'manifest.json'}\n"
    )
