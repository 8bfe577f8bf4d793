from __future__ import annotations

import json

import pytest

from inference_models.entities import FileDownloadSpecs, InlineFileSpecs, LocalFileArtefactSpecs
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.folder import (
    get_model_package_contents,
    list_package_files,
    read_package,
    read_package_folder,
)

MODEL = json.dumps({"model_architecture": "yolov8", "task_type": "object-detection", "backend_type": "onnx"})


def refused(directory):
    with pytest.raises(CorruptedModelPackageError) as caught:
        read_package_folder(directory)
    return str(caught.value)


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "model_config.json").write_text(MODEL)
    (folder / "class_names.txt").write_text("a\nb\n")
    (folder / "weights.onnx").write_bytes(b"x")
    return folder


def test_a_folder_becomes_one_value(package):
    (package / "sub").mkdir()
    (package / "sub" / "more.bin").write_bytes(b"1")
    (package / ".manifest.json").write_text("not part of the package")
    read = read_package_folder(package)
    assert list(read.files) == ["class_names.txt", "model_config.json", "sub/more.bin", "weights.onnx"]
    assert (read.class_names, read.inference, read.model.model_architecture) == (("a", "b"), None, "yolov8")
    assert read.directory == package


def test_a_bare_file_and_texts_become_one_value_without_a_copy(tmp_path):
    weights = tmp_path / "best.onnx"
    weights.write_bytes(b"x")
    texts = [InlineFileSpecs("model_config.json", MODEL), InlineFileSpecs("class_names.txt", "a\n")]
    read = read_package([LocalFileArtefactSpecs("weights.onnx", weights), *texts])
    assert (read.directory, read.files, read.class_names) == (tmp_path, {"weights.onnx": weights}, ("a",))
    assert [path.name for path in tmp_path.iterdir()] == ["best.onnx"]


def test_a_package_that_is_not_here_yet_cannot_be_read_in_place():
    with pytest.raises(ValueError, match="takes local files"):
        read_package([FileDownloadSpecs("x:y", "weights.onnx")])


def test_a_folder_without_a_description_says_what_it_has(package):
    (package / "model_config.json").unlink()
    assert refused(package) == (
        f"package folder '{package}' has no model_config.json.\n"
        "needs model_config.json; found: class_names.txt, weights.onnx\n"
        f"name the file with the weights: {package / 'weights.onnx'}"
    )


def test_a_folder_of_packages_names_one_of_them(package):
    assert refused(package.parent).endswith(f"\nname the folder of the package: {package}")


def test_a_folder_that_is_not_there(tmp_path):
    assert refused(tmp_path / "no") == (
        f"package folder '{tmp_path / 'no'}' cannot be read.\n"
        "needs a folder with a package; found: No such file or directory"
    )


def test_a_text_that_vanishes_between_listing_and_reading(package, monkeypatch):
    def listed(directory):
        files = list_package_files(directory)
        files["class_names.txt"].unlink()
        return files

    monkeypatch.setattr("inference_models.package.folder.list_package_files", listed)
    assert refused(package) == (
        "class_names.txt was removed while it was opened.\n"
        "needs the file where it was found; found: no such file any more\nload the model again"
    )


def test_a_link_out_of_the_folder_is_refused(package, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (package / "class_names.txt").unlink()
    (package / "class_names.txt").symlink_to(secret)
    assert refused(package) == (
        "'class_names.txt' is a link that leads out of the package folder.\n"
        f"needs regular files; found: a link to '{secret}'\n"
        "replace the link by a copy of the file"
    )


def test_a_linked_folder_is_refused_and_a_link_inside_is_not(package, tmp_path):
    (package / "alias.txt").symlink_to(package / "class_names.txt")
    assert "alias.txt" in read_package_folder(package).files
    (tmp_path / "other").mkdir()
    (package / "other").symlink_to(tmp_path / "other")
    assert "'other' is a link" in refused(package)


@pytest.fixture
def snapshot(package, tmp_path):
    """`package` as `huggingface_hub.snapshot_download` lays it: links into the blobs of the repository."""
    repository = tmp_path / "hub" / "models--me--pets"
    folder = repository / "snapshots" / ("0" * 40)
    folder.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for number, path in enumerate(sorted(package.iterdir())):
        path.rename(repository / "blobs" / f"{number:040x}")
        (folder / path.name).symlink_to(f"../../blobs/{number:040x}")
    return folder


def test_a_snapshot_of_the_hub_is_read_through_its_links(snapshot, tmp_path):
    assert set(read_package_folder(snapshot).files) == {"class_names.txt", "model_config.json", "weights.onnx"}
    (tmp_path / "mine").symlink_to(snapshot)
    assert read_package_folder(tmp_path / "mine").class_names


@pytest.mark.parametrize("target", ["../../../../secret.txt", "../../refs/main", "../../../token", "../../blobs/../x"])
def test_a_link_of_a_snapshot_leads_to_files_of_the_cache_only(snapshot, target):
    place = (snapshot / target).resolve()
    place.parent.mkdir(exist_ok=True)
    place.write_text("secret")
    (snapshot / "class_names.txt").unlink()
    (snapshot / "class_names.txt").symlink_to(target)
    assert "is a link that leads out of the package folder" in refused(snapshot)


def test_blobs_that_are_a_link_are_no_blobs(snapshot, tmp_path):
    blobs = snapshot.parents[1] / "blobs"
    blobs.rename(tmp_path / "elsewhere")
    blobs.symlink_to(tmp_path / "elsewhere")
    assert "is a link that leads out of the package folder" in refused(snapshot)


def test_contents_are_returned_by_element(package):
    contents = get_model_package_contents(str(package), ["weights.onnx", "class_names.txt"])
    assert contents == {name: str(package / name) for name in ("weights.onnx", "class_names.txt")}


def test_all_missing_elements_are_named_at_once(package):
    with pytest.raises(CorruptedModelPackageError) as caught:
        get_model_package_contents(str(package), ["engine.plan", "weights.onnx", "trt_config.json"])
    assert str(caught.value) == (
        f"package folder '{package}' is not complete.\n"
        "needs engine.plan, trt_config.json; found: class_names.txt, model_config.json, weights.onnx\n"
        "fetch the package again, or add the missing files"
    )


def test_texts_that_are_none(package):
    (package / "class_names.txt").write_bytes(b"caf\xe9\n")
    assert refused(package) == "class_names.txt is not text.\nneeds UTF-8; found: byte 0xe9 at position 3"
    with (package / "class_names.txt").open("wb") as stream:
        stream.truncate(1 << 34)  # refused without reading it whole
    assert refused(package) == (
        "class_names.txt is too large.\nneeds at most 8388608 bytes; found: more than 8388608 bytes"
    )
