from __future__ import annotations

import json

import numpy as np
import pytest

import graphs
from inference_models.entities import BackendType, InlineFileSpecs, LocalFileArtefactSpecs
from inference_models.errors import (
    CorruptedModelPackageError,
    InvalidParameterError,
    MissingModelInitParameterError,
    ModelNotFoundError,
)
from inference_models.measure.store import package_digest
from inference_models.package.class_names import known_class_names
from inference_models.package.folder import read_package
from inference_models.providers import DescribeOptions
from inference_models.providers.local import LocalProvider
from package.onnx_models import external, small_model, with_output
from providers.contract import ProviderContract

ULTRALYTICS = {
    "description": "Ultralytics YOLOv8n model",
    "task": "detect",
    "names": "{0: 'cat', 1: 'dog'}",
}


@pytest.fixture
def provider():
    return LocalProvider()


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    config = {"model_architecture": "yolov8", "task_type": "object-detection", "backend_type": "onnx"}
    (folder / "model_config.json").write_text(json.dumps(config))
    (folder / "class_names.txt").write_text("a\nb\n")
    (folder / "weights.onnx").write_bytes(small_model().SerializeToString())
    return folder


@pytest.fixture
def bare(tmp_path):
    path = tmp_path / "best.onnx"
    path.write_bytes(with_output([1, 6, 8400], ULTRALYTICS).SerializeToString())
    return path


@pytest.fixture
def silent(tmp_path):
    path = tmp_path / "silent.onnx"
    path.write_bytes(small_model(metadata={"a": "b"}).SerializeToString())
    return path


def refused(kind, path, **options):
    """What is said of a path that cannot be described."""
    with pytest.raises(kind) as caught:
        LocalProvider().describe(str(path), DescribeOptions(**options))
    return str(caught.value)


class TestContract(ProviderContract):
    @pytest.fixture
    def known(self, package):
        return f"local:{package}"

    @pytest.fixture
    def misspelt(self, package):
        return f"local:{package.parent / 'pakage'}"

    @pytest.fixture
    def nearest(self):
        return "package"


def test_a_folder_is_described_from_its_own_files(provider, package):
    metadata = provider.describe(str(package))
    described = metadata.model_packages[0]
    assert (metadata.model_architecture, metadata.task_type) == ("yolov8", "object-detection")
    assert (described.backend, described.onnx_package_details.opset) == (BackendType.ONNX, 17)
    assert (described.dynamic_batch_size_supported, described.static_batch_size) == (True, None)
    assert all(isinstance(item, LocalFileArtefactSpecs) for item in described.package_artefacts)
    assert read_package(described.package_artefacts).class_names == ("a", "b")


def test_a_bare_file_that_says_everything_needs_no_more(provider, bare):
    metadata = provider.describe(str(bare))
    described = metadata.model_packages[0]
    assert (metadata.model_architecture, metadata.task_type) == ("yolov8", "object-detection")
    assert described.package_artefacts[0] == LocalFileArtefactSpecs("weights.onnx", bare)
    assert (described.static_batch_size, described.model_features) == (1, None)
    folder = read_package(described.package_artefacts)
    assert (folder.class_names, folder.inference, folder.directory) == (("cat", "dog"), None, bare.parent)
    assert [path.name for path in bare.parent.iterdir()] == ["best.onnx"]


def with_external(path, *locations):
    model = with_output([1, 6, 8400], ULTRALYTICS)
    for number, location in enumerate(locations):
        model.graph.initializer.append(external(f"e{number}", location))
        (path.parent / location).parent.mkdir(exist_ok=True)
        (path.parent / location).write_bytes(bytes(16))
    path.write_bytes(model.SerializeToString())
    return path


def test_the_data_a_bare_graph_points_to_is_part_of_the_package(provider, tmp_path):
    path = with_external(tmp_path / "best.onnx", "best.bin", "data/more.bin", "best.bin")
    (described,) = provider.describe(str(path)).model_packages
    folder = read_package(described.package_artefacts)
    assert folder.files == {
        "weights.onnx": path,
        "best.bin": tmp_path / "best.bin",
        "data/more.bin": tmp_path / "data" / "more.bin",
    }
    assert (folder.directory, folder.class_names) == (tmp_path, ("cat", "dog"))
    before = package_digest(described)
    (tmp_path / "best.bin").write_bytes(bytes(17))
    assert package_digest(described) != before


def test_data_with_a_name_that_means_something_else_in_a_package_gets_another_one(provider, tmp_path):
    path = with_external(tmp_path / "best.onnx", "weights.onnx", "Class_names.txt", "inference_config.json")
    (described,) = provider.describe(str(path)).model_packages
    folder = read_package(described.package_artefacts)
    assert folder.files == {
        "weights.onnx": path,
        "external/weights.onnx": tmp_path / "weights.onnx",
        "external/Class_names.txt": tmp_path / "Class_names.txt",
        "external/inference_config.json": tmp_path / "inference_config.json",
    }
    assert (folder.class_names, folder.inference) == (("cat", "dog"), None)


def test_data_that_a_folder_hides_is_part_of_its_package(provider, package):
    model = small_model()
    model.graph.initializer.extend([external("a", ".hidden.bin"), external("b", "shown.bin")])
    for name in (".hidden.bin", "shown.bin"):
        (package / name).write_bytes(bytes(16))
    (package / "weights.onnx").write_bytes(model.SerializeToString())
    (described,) = provider.describe(str(package)).model_packages
    folder = read_package(described.package_artefacts)
    names = {".hidden.bin", "class_names.txt", "model_config.json", "shown.bin", "weights.onnx"}
    assert set(folder.files) == names
    assert folder.directory == package


def test_suppression_inside_a_bare_file_is_announced(provider, tmp_path):
    path = tmp_path / "e2e.onnx"
    path.write_bytes(with_output([1, 300, 6], ULTRALYTICS).SerializeToString())
    assert provider.describe(str(path)).model_packages[0].model_features == {"nms_fused": True}


def labels_of(provider, path, labels):
    options = DescribeOptions(labels=labels, architecture="yolov9", task_type="object-detection")
    metadata = provider.describe(str(path), options)
    assert metadata.model_architecture == "yolov9"
    texts = metadata.model_packages[0].package_artefacts
    return next(item.text for item in texts if isinstance(item, InlineFileSpecs)).splitlines()


def test_what_the_caller_says_wins(provider, bare, tmp_path):
    assert labels_of(provider, bare, ["x", "y"]) == ["x", "y"]
    assert tuple(labels_of(provider, bare, "coco")) == known_class_names("coco")
    (tmp_path / "l.txt").write_text("one\ntwo\n")
    assert labels_of(provider, bare, tmp_path / "l.txt") == ["one", "two"]
    assert labels_of(provider, bare, str(tmp_path / "l.txt")) == ["one", "two"]


def test_what_is_missing_is_named_with_what_to_pass(provider, silent):
    assert refused(MissingModelInitParameterError, silent, labels=["x"]) == (
        "'silent.onnx' does not say everything about itself.\n"
        "needs model_type; found: labels\n"
        'pass model_type="yolov8" or another architecture'
    )


@pytest.mark.parametrize(
    ("labels", "found", "fix"),
    [
        ("a.txt", "no file 'a.txt'", "write the names, one per line, into a text file, and pass its path"),
        ([1, 2], "[1, 2]", "pass [str(name) for name in labels]"),
        ({0: "a"}, "{0: 'a'}", "pass list(labels.values())"),
        ([], "[]", "pass a list of texts in the order of training"),
        (3, "3", "pass a list of texts in the order of training"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(provider, bare, labels, found, fix):
    assert refused(InvalidParameterError, bare, labels=labels) == (
        f'labels cannot be used.\nneeds "coco", "imagenet", "voc", a list of names, or a text file; found: {found}\n'
        f"{fix}"
    )


@pytest.mark.parametrize("name", ["best.pt", "net.pth", "gone.ckpt"])
def test_a_checkpoint_is_exported_first(provider, tmp_path, name):
    if name != "gone.ckpt":
        (tmp_path / name).touch()
    kind = ModelNotFoundError if name == "gone.ckpt" else InvalidParameterError
    assert "export it to ONNX with the library that made it" in refused(kind, tmp_path / name)


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((1, 10), 'model_type="resnet" and task_type="classification" or task_type="multi-label-classification"'),
        ((1, 84, 9), 'model_type="yolov8" or another architecture'),
    ],
)
def test_a_silent_graph_gets_advice_that_fits_its_output(provider, tmp_path, shape, advice):
    outputs = {"output0": np.zeros(shape, np.float32)}
    path = graphs.constant_outputs(tmp_path / "net.onnx", size=(32, 32), outputs=outputs)
    assert refused(MissingModelInitParameterError, path).endswith(f"and {advice}")
    refusal = refused(MissingModelInitParameterError, path, labels=["a"], task_type="classification")
    assert refusal.endswith(
        advice.replace(' and task_type="classification" or task_type="multi-label-classification"', "")
    )


@pytest.mark.parametrize(("size", "right"), [((32, 48), True), ((48, 32), False)])
def test_an_input_size_is_what_the_graph_takes(provider, tmp_path, size, right):
    outputs = {"output0": np.zeros((1, 84, 9), np.float32)}
    path = graphs.constant_outputs(tmp_path / "net.onnx", size=(32, 48), outputs=outputs)
    stated = {"labels": "coco", "architecture": "yolov8", "input_size": size}
    if right:
        assert provider.describe(str(path), DescribeOptions(**stated))
    else:
        assert "needs 32 x 48, the only size of this graph; found: 48 x 32" in refused(
            InvalidParameterError, path, **stated
        )


def test_a_file_of_another_kind_is_refused(provider, tmp_path):
    path = tmp_path / "best.h5"
    path.touch()
    assert refused(InvalidParameterError, path) == (
        f"'{path}' cannot be loaded.\n"
        "needs a folder with model_config.json, or a file .onnx, .tflite, .torchscript or .xml; found: a .h5 file\n"
        "export the model to ONNX, or name its folder"
    )


@pytest.mark.parametrize(
    ("name", "backend", "handles"),
    [
        ("best.xml", BackendType.OPENVINO, ["weights.xml", "weights.bin"]),
        ("best.tflite", BackendType.LITERT, ["weights.tflite"]),
        ("best.torchscript", BackendType.TORCH_SCRIPT, ["weights.torchscript"]),
    ],
)
def test_bare_files_of_other_formats_are_told_by_their_suffix(provider, tmp_path, name, backend, handles):
    (tmp_path / name).write_bytes(b"<net name='m'></net>")
    (tmp_path / "best.bin").write_bytes(b"x")
    if backend is BackendType.LITERT:
        pytest.importorskip("ai_edge_litert")
        import tflite_graphs

        tflite_graphs.mean_colour(tmp_path / name, size=8)
    stated = DescribeOptions(labels=["cat"], architecture="yolov8", task_type="object-detection")
    (described,) = provider.describe(str(tmp_path / name), stated).model_packages
    local = [item for item in described.package_artefacts if isinstance(item, LocalFileArtefactSpecs)]
    assert described.backend is backend
    assert [item.file_handle for item in local] == handles
    assert all(item.path.is_file() for item in local)


def test_a_bare_file_without_its_second_half_is_refused(provider, tmp_path):
    (tmp_path / "best.xml").write_bytes(b"x")
    said = refused(ModelNotFoundError, tmp_path / "best.xml")
    assert said == "'best.xml' needs 'best.bin' beside it, and there is none."


@pytest.mark.parametrize(("backend", "needs"), [("openvino", "weights.bin"), ("onnx", "weights.onnx")])
def test_a_folder_without_all_the_weights_its_format_needs_is_refused(package, backend, needs):
    config = {"model_architecture": "yolov8", "task_type": "object-detection", "backend_type": backend}
    (package / "model_config.json").write_text(json.dumps(config))
    (package / "weights.onnx").rename(package / "weights.xml")
    assert refused(CorruptedModelPackageError, package) == (
        f"package folder '{package}' is not complete.\n"
        f"needs {needs}; found: class_names.txt, model_config.json, weights.xml\n"
        "fetch the package again, or add the missing file"
    )


def test_a_path_with_nothing_there_names_the_nearest(provider, bare):
    path = bare.with_name("bets.onnx")
    assert refused(ModelNotFoundError, path) == (
        f"there is no file or folder '{path}'; nearest: 'best.onnx'.\ncheck the path; it was looked up in {path.parent}"
    )


def test_a_graph_that_points_out_of_its_folder_is_refused_when_it_is_described(provider, package):
    model = small_model()
    model.graph.initializer.append(external(location="../secret"))
    (package / "weights.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CorruptedModelPackageError, match="has its values in a file that is not opened"):
        provider.describe(str(package))


def test_a_code_package_is_described_and_not_run(provider, tmp_path):
    (tmp_path / "model_config.json").write_text('{"model_module": "model.py", "model_class": "Mine"}')
    (tmp_path / "model.py").write_text("raise SystemExit('the code was run')\n")
    metadata = provider.describe(f"local:{tmp_path}")
    assert (metadata.model_architecture, metadata.model_packages[0].backend) == ("custom", BackendType.CUSTOM)


def test_the_home_of_nobody_is_not_there():
    said = refused(ModelNotFoundError, "~nosuchuser/x.onnx")
    assert said == "'~nosuchuser/x.onnx' cannot be read: there is no such user."
