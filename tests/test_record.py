"""Records behave as the frozen dataclasses that they stand for."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import pydoc

import pytest

from inference_models.backends.runtime import Runtime
from inference_models.developer_tools import BackendType, FileDownloadSpecs, ModelDependency, ModelPackageMetadata
from inference_models.families import DetectionGraph, Family

FILE = FileDownloadSpecs("https://h/w", "w", size=3)
PACKAGE = ModelPackageMetadata("p1", BackendType.ONNX, [FILE])


def test_the_functions_of_dataclasses_take_records() -> None:
    assert dataclasses.is_dataclass(PACKAGE)
    assert [field.name for field in dataclasses.fields(FILE)] == [
        "download_url",
        "file_handle",
        "md5_hash",
        "sha256_hash",
        "size",
    ]
    assert dataclasses.replace(FILE, size=4) == FileDownloadSpecs("https://h/w", "w", size=4)
    assert dataclasses.asdict(PACKAGE)["package_artefacts"] == [dataclasses.asdict(FILE)]
    assert dataclasses.asdict(ModelDependency(name="a", model_id="b")) == {
        "name": "a",
        "model_id": "b",
        "model_package_id": None,
    }


def test_a_record_is_immutable_and_hashable_and_survives_a_copy() -> None:
    with pytest.raises(AttributeError):
        FILE.size = 4  # type: ignore[misc]
    assert len({FILE, FileDownloadSpecs("https://h/w", "w", size=3)}) == 1
    assert pickle.loads(pickle.dumps(PACKAGE)) == copy.deepcopy(PACKAGE) == PACKAGE


@pytest.mark.parametrize("kind", [DetectionGraph, Family, ModelPackageMetadata, Runtime])
def test_the_help_of_a_record_shows_how_it_is_made(kind: type) -> None:
    assert kind.__name__ in pydoc.render_doc(kind)
    parameters = inspect.signature(kind).parameters
    assert list(parameters) == [field.name for field in dataclasses.fields(kind)]
