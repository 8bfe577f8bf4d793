"""A graph that does not suit its architecture is refused when it is loaded, and never at the first picture."""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import graphs
from inference_models import ActionRecognitionModel, families
from inference_models.backends import onnx
from inference_models.backends.session import InputHint, SessionRequest
from inference_models.errors import CorruptedModelPackageError
from inference_models.families import find_family
from inference_models.package.key_point_names import KeyPointNames
from inference_models.package.preprocess_spec import ResizeMode
from inference_models.record import replace
from inference_models.tasks import find_task
from inference_models.tasks.graph_runner import OpenedPackage

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FRAME = (64, 64)
CELLS = 84
"""Of strides 8, 16 and 32."""
NAMES = ("a", "b", "c")
OUTPUTS = {
    "one number": [()],
    "scores": [(3,)],
    "scores of too many classes": [(7,)],
    "two rows of bins": [(90,), (90,)],
    "columns": [(7, CELLS)],
    "columns of too many classes": [(9, CELLS)],
    "rows with objectness": [(CELLS, 8)],
    "rows of another input size": [(CELLS + 5, 8)],
    "rows": [(CELLS, 7)],
    "final rows": [(300, 6)],
    "columns and prototypes": [(39, CELLS), (32, 16, 16)],
    "final rows and prototypes": [(300, 38), (32, 16, 16)],
    "columns and prototypes of another shape": [(39, CELLS), (32, 9, 16)],
    "rows and prototypes": [(CELLS, 40), (32, 16, 16)],
    "columns with key points": [(58, CELLS)],
    "final rows with key points": [(300, 57)],
    "columns with angles": [(8, CELLS)],
    "boxes and scores": [(CELLS, 4), (CELLS, 3)],
    "boxes, objectness and scores": [(CELLS, 4), (CELLS, 1), (CELLS, 3)],
    "boxes and scores of other rows": [(20, 4), (30, 3)],
    "boxes, scores and masks": [(20, 4), (20, 4), (20, 16, 16)],
    "boxes, scores and masks of another shape": [(20, 4), (20, 4), (20, 9, 16)],
    "boxes, scores and points": [(20, 4), (20, 4), (20, 51, 8)],
    "plane": [FRAME],
    "plane of another shape": [(9, 64)],
    "one map": [(1, *FRAME)],
    "maps": [(3, *FRAME)],
    "maps of another shape": [(3, 9, 64)],
    "heat maps": [(1, 16, 16), (2, 16, 16), (2, 16, 16), (10, 16, 16)],
    "heat maps of different sizes": [(1, 16, 16), (2, 8, 8), (2, 16, 16), (10, 16, 16)],
    "heat maps of another stride": [(1, 8, 8), (2, 8, 8), (2, 8, 8), (10, 8, 8)],
    "points": [(1, 17, 3)],
    "cubes": [(3, 4, 8, 8)],
}
ROWS = [
    (name, task)
    for name in (info.name.replace("_", "-") for info in pkgutil.iter_modules(families.__path__))
    for task, graph in find_family(name).tasks.items()
    if set(graph.files.values()) <= {"*"} and not graph.models and not graph.further_inputs
]


def open_graph(folder: Path, outputs: list[NDArray[Any]]) -> Any:
    named = {f"y{place}": output for place, output in enumerate(outputs)}
    path = graphs.constant_outputs(folder / "weights.onnx", size=FRAME, outputs=named)
    return onnx.open_session(SessionRequest(directory=folder, files={path.name: path}, device="cpu"))


def open_archive(folder: Path, outputs: list[NDArray[Any]], example: tuple[int, ...] | None = (3, *FRAME)) -> Any:
    """Of which nothing is known but the size of its input, or not even that."""
    pytest.importorskip("torch")
    from inference_models.backends import torch_script
    from torch_graphs import save_constants

    path = save_constants(folder / "weights.torchscript", outputs, example=(1, 3, *FRAME))
    hint = InputHint(shape=(None, *(example or (3, None, None))), example=example)
    return torch_script.open_session(
        SessionRequest(directory=folder, files={path.name: path}, device="cpu", input_hint=hint)
    )


@pytest.fixture(scope="module", params=OUTPUTS)
def outputs(request: Any) -> list[NDArray[Any]]:
    return [np.zeros((1, *shape), np.float32) for shape in OUTPUTS[request.param]]


@pytest.fixture(scope="module")
def opened(outputs: list[NDArray[Any]], tmp_path_factory: pytest.TempPathFactory) -> Any:
    session = open_graph(tmp_path_factory.mktemp("g"), outputs)
    yield session
    session.close()


def bind(session: Any, name: str, task: str, **facts: Any) -> Any:
    record, graph = find_task(task), find_family(name).tasks[task]
    square = {"size": FRAME, "layout": "nchw", "channels": 3, "resize": ResizeMode.STRETCH, "dynamic": None}
    spec = replace(graph.preprocess, shorter_edge=None, **square)
    names = (graph.class_names or NAMES) if record.has_classes else ()
    package = OpenedPackage(sessions={"graph": session}, preprocess=spec, class_names=names, label="the model")
    return record.bind(replace(package, **facts), graph)


@pytest.mark.parametrize(("name", "task"), ROWS, ids=lambda value: value)
def test_what_loads_answers(opened: Any, name: str, task: str) -> None:
    try:
        model = bind(opened, name, task)
    except CorruptedModelPackageError as refused:
        error: CorruptedModelPackageError | None = refused
    else:
        error = None
        given = np.zeros((2, *FRAME, 3) if isinstance(model, ActionRecognitionModel) else (*FRAME, 3), np.uint8)
        getattr(model, "infer", getattr(model, "embed_images", None))(given)
    assert error is None or (error.needs and error.found)


def refused_by(session: Any) -> list[tuple[str, str]]:
    """The rows of which the outputs are not."""
    found = []
    for name, task in ROWS:
        try:
            bind(session, name, task)
        except CorruptedModelPackageError:
            found.append((name, task))
    return found


def test_an_archive_is_refused_where_the_same_graph_is(
    opened: Any, outputs: list[NDArray[Any]], tmp_path: Path
) -> None:
    assert refused_by(open_archive(tmp_path, outputs)) == refused_by(opened)


@pytest.mark.parametrize("size", ["stated", "unknown"])
def test_what_an_archive_gives_is_known_before_its_first_picture(tmp_path: Path, size: str) -> None:
    example = (3, *FRAME) if size == "stated" else None
    session = open_archive(tmp_path, [np.zeros((1, 9, CELLS), np.float32)], example)
    with pytest.raises(CorruptedModelPackageError, match="names"):
        bind(session, "yolov8", "object-detection")


POSES = [
    name
    for name, task in ROWS
    if task == "keypoint-detection" and getattr(find_family(name).tasks[task], "key_points", None) is not None
]
"""Which name their own points; those of other families are named by the package."""


@pytest.mark.parametrize("name", POSES)
def test_names_of_other_key_points_than_those_of_the_graph_are_refused(opened: Any, name: str) -> None:
    own = find_family(name).tasks["keypoint-detection"].key_points
    more = KeyPointNames.of_one([f"point {number}" for number in range(own.slots + 5)])
    count = len(find_family(name).tasks["keypoint-detection"].class_names or NAMES)
    with pytest.raises(CorruptedModelPackageError) as refused:
        bind(opened, name, "keypoint-detection", key_points=more.for_classes(count))
    assert refused.value.needs
    assert refused.value.found
