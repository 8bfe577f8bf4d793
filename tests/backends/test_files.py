"""What every runtime that opens files of graphs does with them, whatever the format."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from packaging.version import Version

import graphs
import tflite_graphs
from backends.contract import SessionContract, check_nothing_is_sent_or_left, varied_feed_for
from inference_models.backends import litert, onnx, openvino
from inference_models.backends.session import SessionRequest
from inference_models.errors import CorruptedModelPackageError, EnvironmentConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from inference_models.backends.session import Session


@dataclass(frozen=True)
class Case:
    """A runtime with a convolution of 3 x 3 in one of its formats, stored with a batch of 1 or an open one."""

    backend: Any
    build: Callable[[Path, bool], dict[str, Path]]
    """From a folder, and whether the batch is open, to the files by handle."""
    freed: tuple[int | None, ...] = (None, 3, None, None)
    larger: tuple[int, ...] = (2, 3, 16, 10)
    answer: tuple[int, ...] = (2, 4, 14, 8)

    def request(self, folder: Path, *, is_open: bool = True, **changes: Any) -> SessionRequest:
        return SessionRequest(directory=folder, files=self.build(folder, is_open), **changes)

    def open(self, folder: Path, *, is_open: bool = True, **changes: Any) -> Session:
        session: Session = self.backend.open_session(self.request(folder, is_open=is_open, **changes))
        return session

    def refusal(self, request: SessionRequest) -> list[str]:
        with pytest.raises(CorruptedModelPackageError) as caught:
            self.backend.open_session(request)
        return str(caught.value).splitlines()


def as_onnx(folder: Path, is_open: bool) -> dict[str, Path]:
    path, *_ = graphs.convolution(folder / "weights.onnx", **({} if is_open else {"batch": 1}))
    return {"weights.onnx": path}


def as_ir(folder: Path, is_open: bool) -> dict[str, Path]:
    return save_ir(as_onnx(folder / "source", is_open)["weights.onnx"], folder)


def save_ir(path: Path, folder: Path) -> dict[str, Path]:
    """`path` converted by OpenVINO's own tool, weights in float32."""
    runtime = openvino.import_openvino()
    runtime.save_model(runtime.Core().read_model(str(path)), str(folder / "weights.xml"), compress_to_fp16=False)
    return {name: folder / name for name in ("weights.xml", "weights.bin")}


def as_tflite(folder: Path, is_open: bool) -> dict[str, Path]:
    return {"weights.tflite": tflite_graphs.convolution(folder / "weights.tflite", is_open=is_open)[0]}


CASES = {
    "onnx": Case(onnx, as_onnx),
    "onnx through openvino": Case(openvino, as_onnx),
    "ir": Case(openvino, as_ir),
    "tflite": Case(litert, as_tflite, (None, None, None, 3), (2, 16, 10, 3), (2, 14, 8, 4)),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    found = CASES[request.param]
    if found.backend.RUNTIME.installed_version() is None:
        pytest.skip(f"needs {found.backend.RUNTIME.label}")
    return found


class TestSession(SessionContract):
    @pytest.fixture
    def session(self, case: Case, tmp_path: Path) -> Session:
        return case.open(tmp_path)


class TestSessionWithFreedDims(SessionContract):
    @pytest.fixture
    def session(self, case: Case, tmp_path: Path) -> Session:
        shape = case.open(tmp_path, is_open=False).inputs[0].shape
        return case.open(tmp_path, is_open=False, free_input_dims={input_of(case, tmp_path): (None, *shape[1:])})


def input_of(case: Case, folder: Path) -> str:
    return case.open(folder).inputs[0].name


def test_numbers_agree_with_a_convolution_written_as_loops(case: Case, tmp_path: Path) -> None:
    images = np.random.default_rng(1).normal(size=(3, 3, 8, 8)).astype(np.float32)
    if case.backend is litert:
        path, kernel, bias = tflite_graphs.convolution(tmp_path / "weights.tflite")
        kernel, files = np.moveaxis(kernel, -1, 1), {"weights.tflite": path}
    else:
        _, kernel, bias = graphs.convolution(tmp_path / "again.onnx")
        files = case.build(tmp_path, True)
    session = case.backend.open_session(SessionRequest(directory=tmp_path, files=files))
    feed = np.ascontiguousarray(np.moveaxis(images, 1, -1)) if case.backend is litert else images
    (answer,) = session.run({session.inputs[0].name: feed}).values()
    expected = np.zeros((3, 4, 6, 6))
    for row in range(6):
        for column in range(6):
            window = images[:, None, :, row : row + 3, column : column + 3].astype(np.float64)
            expected[:, :, row, column] = np.maximum((window * kernel).sum((2, 3, 4)) + bias, 0)
    # onnxruntime 1.32, openvino 2026.4 and ai-edge-litert 2.3 sum 27 products in float32 and in another order.
    np.testing.assert_allclose(np.moveaxis(answer, -1, 1) if case.backend is litert else answer, expected, atol=1e-5)


def test_freed_dims_take_any_size(case: Case, tmp_path: Path) -> None:
    name = input_of(case, tmp_path)
    fixed = case.open(tmp_path, is_open=False)
    assert fixed.inputs[0].shape[0] == 1
    session = case.open(tmp_path, is_open=False, free_input_dims={name: case.freed})
    assert session.inputs[0].shape == case.freed
    assert session.outputs[0].shape[0] is None
    (answer,) = session.run({name: np.zeros(case.larger, np.float32)}).values()
    assert answer.shape == case.answer


def test_freed_dims_that_do_not_fit_are_refused(case: Case, tmp_path: Path) -> None:
    name = input_of(case, tmp_path)
    request = case.request(tmp_path, free_input_dims={"other": case.freed})
    assert case.refusal(request) == [
        f"{next(iter(request.files))}: free_input_dims does not fit the graph.",
        f"needs an input 'other' with 4 sides; found: {name!r} with 4 sides",
    ]


def test_a_package_without_a_file_it_needs_is_refused(case: Case, tmp_path: Path) -> None:
    request = case.request(tmp_path)
    for missing in request.files:
        if case.backend is openvino and "weights.onnx" in request.files:
            continue  # without it, the package is one of OpenVINO's own format
        files = {name: path for name, path in request.files.items() if name != missing}
        found = ", ".join(files) or "no files"
        lines = case.refusal(replace(request, files=files))
        assert lines == [f"the package has no {missing}.", f"needs {missing}; found: {found}"]


def test_a_file_that_is_gone_is_called_so(case: Case, tmp_path: Path) -> None:
    for name in case.request(tmp_path).files:
        request = case.request(tmp_path)
        request.files[name].unlink()
        assert case.refusal(request) == [
            f"{name} was removed while it was opened.",
            "needs the file where it was found; found: no such file any more",
            "load the model again",
        ]


def test_a_file_overwritten_while_the_model_is_in_use_changes_nothing(case: Case, tmp_path: Path) -> None:
    request = case.request(tmp_path)
    session = case.backend.open_session(request)
    before = session.run(varied_feed_for(session))
    for path in request.files.values():
        path.write_bytes(b"")
    session.run(varied_feed_for(session, batch=5))
    for name, array in session.run(varied_feed_for(session)).items():
        np.testing.assert_array_equal(array, before[name])


def test_a_file_that_is_cut_short_is_refused(case: Case, tmp_path: Path) -> None:
    request = case.request(tmp_path)
    for path in request.files.values():
        whole = path.read_bytes()
        for length in range(0, len(whole) - 10, len(whole) // 7):
            path.write_bytes(whole[:length])
            first, second, *_ = case.refusal(request)
            assert first.startswith(next(iter(request.files)))
            assert second.startswith("needs ")
            assert "Exception from" not in second
        path.write_bytes(whole)


def test_the_cpu_stands_in_for_another_device_only_where_that_is_allowed(
    case: Case, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(EnvironmentConfigurationError) as caught:
        case.open(tmp_path, device="npu:9")
    label = case.backend.RUNTIME.label
    assert str(caught.value).splitlines()[0] == f"device 'npu:9' cannot be used through {label} here."
    with caplog.at_level(logging.WARNING, "inference-models"):
        assert case.open(tmp_path, device="npu:9", allow_fallback=True).running_on == "cpu"
    (record,) = caplog.records
    assert "device 'npu:9'" in record.getMessage()


class TestOnnxFiles:
    @pytest.fixture(params=["onnx", "onnx through openvino"])
    def case(self, request: pytest.FixtureRequest) -> Case:
        return CASES[request.param]

    def test_external_data_is_found_from_any_folder_also_with_freed_shapes(
        self, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inside = case.open(tmp_path)
        path = graphs.with_external_data(tmp_path / "out" / "weights.onnx")
        monkeypatch.chdir(tmp_path)
        feeds = varied_feed_for(inside)
        for dims in ({}, {"images": case.freed}):
            if dims and case.backend is onnx and onnx.RUNTIME.installed_version() < Version("1.22"):
                continue  # before, a graph in memory could have no external data
            request = SessionRequest(directory=path.parent, files={"weights.onnx": path}, free_input_dims=dims)
            answers = case.backend.open_session(request).run(feeds)
            np.testing.assert_array_equal(answers["output0"], inside.run(feeds)["output0"])

    def test_external_data_outside_the_package_is_refused_before_the_runtime_sees_it(
        self, case: Case, tmp_path: Path
    ) -> None:
        path = graphs.with_external_data(tmp_path / "p" / "weights.onnx", location="../weights.data")
        lines = case.refusal(SessionRequest(directory=path.parent, files={"weights.onnx": path}))
        assert lines[0].endswith("has its values in a file that is not opened.")
        assert lines[1] == "needs a plain name inside the package folder; found: '../weights.data'"

    @pytest.mark.parametrize(("operator", "shown"), [(b"Rectify", "Rectify"), (b"Rect\xbffy", r"Rect\xbffy")])
    def test_an_unknown_operator_is_named_in_the_words_of_the_runtime(
        self, case: Case, tmp_path: Path, operator: bytes, shown: str
    ) -> None:
        request = case.request(tmp_path)
        with_operator(request.files["weights.onnx"], operator)
        first, second, last = case.refusal(request)
        record = case.backend.RUNTIME
        assert first == f"weights.onnx: {record.label} {record.installed_version()} cannot open the graph."
        assert second.startswith("needs a graph this runtime supports; found: ")
        # Where it is no text, ONNX Runtime up to 1.23 gives the kind of its error alone.
        assert shown in second or (not operator.isascii() and second.endswith(("Fail", "RuntimeError")))
        assert last == f'export or fetch the file again, or update the runtime: pip install -U "{record.requires}"'


def with_operator(path: Path, name: bytes) -> None:
    """Replace the second operator of a graph by one that no runtime has, whose `name` may be no text."""
    from onnx import helper, load, save

    model = load(path)
    model.graph.node[1].op_type, model.graph.node[1].domain = "Rectify", "custom"
    model.opset_import.append(helper.make_opsetid("custom", 1))
    save(model, path)
    path.write_bytes(path.read_bytes().replace(b"Rectify", name))


@pytest.mark.skipif(sys.platform == "win32", reason="the home folder is named otherwise")
def test_opening_and_running_sends_nothing_and_leaves_nothing_in_the_home_folder(case: Case, tmp_path: Path) -> None:
    files = {name: str(path) for name, path in case.request(tmp_path / "model").files.items()}
    module = case.backend.__name__.rpartition(".")[2]
    code = f"""
import numpy, threading
from inference_models.backends import {module} as backend
files = {{name: Path(path) for name, path in {files!r}.items()}}
session = backend.open_session(SessionRequest(directory=Path({str(tmp_path)!r}), files=files))
(spec,) = session.inputs
session.run({{spec.name: numpy.zeros([side or 1 for side in spec.shape], "float32")}})
assert threading.active_count() == 1, threading.enumerate()
if backend.RUNTIME.label == "OpenVINO":
    assert backend.TELEMETRY not in sys.modules
    import openvino
    assert callable(openvino.convert_model)
"""
    check_nothing_is_sent_or_left(tmp_path, code)


@pytest.mark.parametrize("ending", ["the first goes first", "another thread closes it"])
@pytest.mark.parametrize("name", CASES)
def test_a_signal_is_handled_after_models_were_closed(tmp_path: Path, name: str, ending: str) -> None:
    case = CASES[name]
    files = {handle: str(path) for handle, path in case.build(tmp_path, True).items()}
    module = case.backend.__name__.rpartition(".")[2]
    code = f"""
import signal, threading
from pathlib import Path
from inference_models.backends import {module} as backend
from inference_models.backends.session import SessionRequest
files = {{name: Path(path) for name, path in {files!r}.items()}}
request = SessionRequest(directory=Path({str(tmp_path)!r}), files=files)
sessions, handled = [backend.open_session(request)], []
signal.signal(signal.SIGINT, lambda number, frame: handled.append(number))
if {ending!r} == "the first goes first":
    sessions.append(backend.open_session(request))
    sessions.pop(0).close()
    sessions.pop(0).close()
else:
    closing = threading.Thread(target=lambda: sessions.pop().close())
    closing.start()
    closing.join()
signal.raise_signal(signal.SIGINT)
assert handled == [signal.SIGINT]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
