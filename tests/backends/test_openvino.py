from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import graphs
from backends.contract import SessionContract, varied_feed_for
from inference_models.backends import onnx
from inference_models.backends import openvino as backend
from inference_models.backends.session import SessionRequest
from inference_models.errors import CorruptedModelPackageError, EnvironmentConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.backends.openvino import OpenVinoSession

if backend.RUNTIME.installed_version() is None:
    pytest.skip("needs OpenVINO", allow_module_level=True)
VERSION = backend.RUNTIME.installed_version()
UPDATE = 'export or fetch the file again, or update the runtime: pip install -U "openvino>=2025.0"'


def onnx_request(path: Path, **changes: object) -> SessionRequest:
    return SessionRequest(directory=path.parent, files={"weights.onnx": path}, **changes)


def ir_request(folder: Path, **changes: object) -> SessionRequest:
    files = {name: folder / name for name in ("weights.xml", "weights.bin")}
    return SessionRequest(directory=folder, files=files, **changes)


def as_ir(path: Path, folder: Path) -> SessionRequest:
    """`path` converted by OpenVINO's own tool, weights in float32."""
    ov = backend.import_openvino()
    folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(ov.Core().read_model(str(path)), str(folder / "weights.xml"), compress_to_fp16=False)
    return ir_request(folder)


class TestOpenVinoSessionOfOnnx(SessionContract):
    @pytest.fixture
    def session(self, tmp_path: Path) -> OpenVinoSession:
        return backend.open_session(onnx_request(graphs.convolution(tmp_path / "weights.onnx")[0]))


class TestOpenVinoSessionOfIr(SessionContract):
    @pytest.fixture
    def session(self, tmp_path: Path) -> OpenVinoSession:
        return backend.open_session(as_ir(graphs.convolution(tmp_path / "g.onnx")[0], tmp_path / "ir"))


def test_numbers_agree_with_a_convolution_written_as_loops(tmp_path: Path) -> None:
    path, kernel, bias = graphs.convolution(tmp_path / "weights.onnx")
    images = np.random.default_rng(1).normal(size=(3, 3, 8, 8)).astype(np.float32)
    ours = backend.open_session(onnx_request(path)).run({"images": images})["output0"]
    expected = np.zeros((3, 4, 6, 6))
    for row in range(6):
        for column in range(6):
            window = images[:, None, :, row : row + 3, column : column + 3]
            expected[:, :, row, column] = (window.astype(np.float64) * kernel).sum((2, 3, 4)) + bias
    # openvino 2026.4 sums 27 products in float32 and in another order: 1e-5 absolute. bfloat16 is off by 1e-2.
    np.testing.assert_allclose(ours, np.maximum(expected, 0), atol=1e-5)


def test_it_computes_in_float32_with_the_threads_of_the_request(tmp_path: Path) -> None:
    session = backend.open_session(onnx_request(graphs.convolution(tmp_path / "weights.onnx")[0], threads=1))
    compiled = session._opened.get_compiled_model()
    names = ("INFERENCE_PRECISION_HINT", "INFERENCE_NUM_THREADS", "NUM_STREAMS", "ENABLE_CPU_PINNING")
    precision, *rest = (compiled.get_property(name) for name in names)
    assert precision.to_dtype() == np.float32
    assert rest == [1, 1, False]


@pytest.mark.parametrize("name", ["yolox", "picodet", "pplcnet", "centerface"])
@pytest.mark.network
def test_real_weights_answer_as_in_onnx_runtime(name: str, request: pytest.FixtureRequest) -> None:
    if name == "yolox":
        path, size, dims = request.getfixturevalue("shared_data") / "yolox_nano.onnx", 416, {}
    else:
        path, size, dims = request.getfixturevalue(f"{name}_onnx"), 224, {}
    if name == "centerface":
        dims = {"input.1": (None, 3, None, None)}
    opened = onnx_request(path, free_input_dims=dims)
    ours, theirs = backend.open_session(opened), onnx.open_session(opened)
    assert ours.inputs == theirs.inputs
    assert [(spec.name, spec.dtype) for spec in ours.outputs] == [(spec.name, spec.dtype) for spec in theirs.outputs]
    (spec,) = ours.inputs
    shape = tuple(side or other for side, other in zip(spec.shape, (1, 3, size, size), strict=True))
    largest = 1.0 if name in {"picodet", "pplcnet"} else 255.0
    feeds = {spec.name: np.random.default_rng(0).uniform(0, largest, shape).astype(np.float32)}
    answers, expected = ours.run(feeds), theirs.run(feeds)
    for output, array in expected.items():
        # openvino 2026.4 against onnxruntime 1.32, both float32; the largest difference seen was 2e-5.
        np.testing.assert_allclose(answers[output], array, atol=1e-3, rtol=0)


def test_a_real_graph_converted_to_ir_answers_as_before(tmp_path: Path, shared_data: Path) -> None:
    path = shared_data / "yolox_nano.onnx"
    session = backend.open_session(as_ir(path, tmp_path / "ir"))
    original = backend.open_session(onnx_request(path))
    assert (session.inputs, session.outputs) == (original.inputs, original.outputs)
    feeds = varied_feed_for(session, batch=1)
    # The same plug-in runs the same operators: openvino 2026.4 gave equal numbers; 1e-4 leaves room for its fusions.
    np.testing.assert_allclose(session.run(feeds)["output"], original.run(feeds)["output"], atol=1e-4, rtol=0)


def test_external_data_is_read(tmp_path: Path) -> None:
    inside = backend.open_session(onnx_request(graphs.convolution(tmp_path / "weights.onnx")[0]))
    path = graphs.with_external_data(tmp_path / "out" / "weights.onnx")
    outside = backend.open_session(onnx_request(path))
    feeds = varied_feed_for(inside)
    np.testing.assert_array_equal(outside.run(feeds)["output0"], inside.run(feeds)["output0"])


def test_external_data_outside_the_package_is_refused_before_the_runtime_sees_it(tmp_path: Path) -> None:
    path = graphs.with_external_data(tmp_path / "p" / "weights.onnx", location="../weights.data")
    with pytest.raises(CorruptedModelPackageError) as caught:
        backend.open_session(onnx_request(path))
    assert str(caught.value).endswith(
        "has its values in a file that is not opened.\n"
        "needs a plain name inside the package folder; found: '../weights.data'"
    )


def test_a_wrong_static_shape_can_be_freed(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx", batch=1)
    for request in (onnx_request(path), as_ir(path, tmp_path / "ir")):
        freed = SessionRequest(
            directory=request.directory, files=request.files, free_input_dims={"images": (None, 3, None, None)}
        )
        session = backend.open_session(freed)
        assert session.inputs[0].shape == (None, 3, None, None)
        assert session.outputs[0].shape == (None, 4, None, None)
        assert session.run({"images": np.zeros((2, 3, 16, 10), np.float32)})["output0"].shape == (2, 4, 14, 8)


def test_freed_dims_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    with pytest.raises(CorruptedModelPackageError) as caught:
        backend.open_session(onnx_request(path, free_input_dims={"pixels": (None, 3, 8, 8)}))
    assert str(caught.value) == (
        "weights.onnx: free_input_dims does not fit the graph.\n"
        "needs an input 'pixels' with 4 sides; found: 'images' with 4 sides"
    )


def test_whole_numbers_keep_their_format(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    path = graphs.save(
        tmp_path / "weights.onnx",
        [helper.make_node("Add", ["a", "a"], ["b"])],
        inputs={"a": ["n", 2]},
        outputs={"b": ["n", 2]},
        dtype=TensorProto.INT64,
    )
    session = backend.open_session(onnx_request(path))
    assert (session.inputs[0].dtype, session.outputs[0].dtype) == ("int64", "int64")
    # Beyond 32 bits OpenVINO's CPU is wrong, as the module says.
    numbers = np.array([[2**30 - 1, -1]], np.int64)
    np.testing.assert_array_equal(session.run({"a": numbers})["b"], 2 * numbers)


def test_a_graph_with_an_unknown_operator_is_refused_with_its_name(tmp_path: Path) -> None:
    from onnx import helper, load, save

    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    model = load(path)
    model.graph.node[1].op_type, model.graph.node[1].domain = "Rectify", "custom"
    model.opset_import.append(helper.make_opsetid("custom", 1))
    save(model, path)
    with pytest.raises(CorruptedModelPackageError) as caught:
        backend.open_session(onnx_request(path))
    first, second, last = str(caught.value).splitlines()
    assert first == f"weights.onnx: OpenVINO {VERSION} cannot open the graph."
    assert second.startswith("needs a graph this runtime supports; found: ")
    assert "Rectify" in second
    assert last == UPDATE


def test_a_name_that_is_no_text_is_refused_with_the_words_of_the_runtime(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    path.write_bytes(path.read_bytes().replace(b"Relu", b"Re\xbfu"))
    with pytest.raises(CorruptedModelPackageError) as caught:
        backend.open_session(onnx_request(path))
    assert r"Re\xbfu" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"no xml", "'no xml'"),
        (b"<html><body></body>", "'<html><body></body>'"),
        (b"\x08\x07\x12\x07pytorch", r"'\x08\x07\x12\x07pytorch'"),
    ],
)
def test_a_file_that_is_no_ir_is_refused(tmp_path: Path, content: bytes, found: str) -> None:
    request = as_ir(graphs.convolution(tmp_path / "g.onnx")[0], tmp_path / "ir")
    request.files["weights.xml"].write_bytes(content)
    with pytest.raises(CorruptedModelPackageError) as caught:
        backend.open_session(request)
    assert str(caught.value) == (
        "weights.xml is not an OpenVINO graph.\n"
        f"needs XML that begins with <net>; found: {found}\n"
        "export or fetch the file again"
    )


def test_ir_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    request = as_ir(graphs.convolution(tmp_path / "g.onnx")[0], tmp_path / "ir")
    whole = request.files["weights.xml"].read_bytes()
    for length in range(100, len(whole) - 10, 997):
        request.files["weights.xml"].write_bytes(whole[:length])
        with pytest.raises(CorruptedModelPackageError) as caught:
            backend.open_session(request)
        lines = str(caught.value).splitlines()
        assert lines[0] == f"weights.xml: OpenVINO {VERSION} cannot open the graph."
        assert lines[1].startswith("needs a graph this runtime supports; found: ")
        assert "Exception from" not in lines[1]
        assert lines[2] == UPDATE


def test_ir_without_all_of_its_weights_is_refused(tmp_path: Path) -> None:
    request = as_ir(graphs.convolution(tmp_path / "g.onnx")[0], tmp_path / "ir")
    request.files["weights.bin"].write_bytes(request.files["weights.bin"].read_bytes()[:100])
    with pytest.raises(CorruptedModelPackageError) as caught:
        backend.open_session(request)
    assert str(caught.value).startswith(f"weights.xml: OpenVINO {VERSION} cannot open the graph.\n")


@pytest.mark.parametrize(
    ("files", "missing"), [(["weights.xml"], "weights.bin"), (["weights.pt"], "weights.xml"), ([], "weights.xml")]
)
def test_a_package_without_a_file_it_needs_is_refused(tmp_path: Path, files: list[str], missing: str) -> None:
    given = {name: tmp_path / name for name in files}
    with pytest.raises(CorruptedModelPackageError) as caught:
        backend.open_session(SessionRequest(directory=tmp_path, files=given))
    found = ", ".join(files) or "no files"
    assert str(caught.value) == f"the package has no {missing}.\nneeds {missing}; found: {found}"


@pytest.mark.parametrize("gone", ["weights.xml", "weights.bin"])
def test_ir_that_is_gone_is_called_so(tmp_path: Path, gone: str) -> None:
    request = as_ir(graphs.convolution(tmp_path / "g.onnx")[0], tmp_path / "ir")
    request.files[gone].unlink()
    with pytest.raises(CorruptedModelPackageError) as caught:
        backend.open_session(request)
    assert str(caught.value) == (
        f"{gone} was removed while it was opened.\n"
        "needs the file where it was found; found: no such file any more\n"
        "load the model again"
    )


def test_weights_overwritten_while_the_model_is_in_use_change_nothing(tmp_path: Path) -> None:
    request = as_ir(graphs.convolution(tmp_path / "g.onnx")[0], tmp_path / "ir")
    session = backend.open_session(request)
    before = session.run(varied_feed_for(session))["output0"]
    request.files["weights.bin"].write_bytes(b"")
    np.testing.assert_array_equal(session.run(varied_feed_for(session))["output0"], before)


class Devices:
    """What OpenVINO says about a machine with other devices than this one."""

    def __init__(self, *names: str) -> None:
        self.available_devices = list(names)


@pytest.mark.parametrize(
    ("device", "found", "expected"),
    [
        (None, ["CPU", "GPU"], "CPU"),
        ("cpu", ["CPU", "GPU"], "CPU"),
        ("gpu", ["CPU", "GPU"], "GPU"),
        ("gpu:0", ["CPU", "GPU"], "GPU.0"),
        ("gpu", ["CPU", "GPU.0", "GPU.1"], "GPU"),
        ("gpu:1", ["CPU", "GPU.0", "GPU.1"], "GPU.1"),
        ("npu", ["CPU", "NPU"], "NPU"),
    ],
)
def test_a_device_is_used_only_when_it_is_named(
    tmp_path: Path, device: str | None, found: list[str], expected: str
) -> None:
    assert backend.choose_device(onnx_request(tmp_path, device=device), Devices(*found)) == expected


@pytest.mark.parametrize(
    ("device", "needs"),
    [
        ("gpu", "GPU"),
        ("gpu:1", "GPU.1"),
        ("npu", "NPU"),
        ("cuda:0", "device 'cpu', 'gpu' or 'npu'"),
        ("mps", "device 'cpu', 'gpu' or 'npu'"),
    ],
)
def test_a_device_that_is_not_there_is_refused(tmp_path: Path, device: str, needs: str) -> None:
    with pytest.raises(EnvironmentConfigurationError) as caught:
        backend.choose_device(onnx_request(tmp_path, device=device), Devices("CPU"))
    assert str(caught.value) == (
        f"device {device!r} cannot be used through OpenVINO here.\nneeds {needs}; found: CPU\ndevice='cpu'"
    )


def test_with_a_fallback_allowed_the_cpu_stands_in_and_one_warning_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    with caplog.at_level(logging.WARNING, "inference-models"):
        session = backend.open_session(onnx_request(path, device="npu:9", allow_fallback=True))
    assert session.running_on == "cpu"
    found = ", ".join(backend.import_openvino().Core().available_devices)
    assert [record.getMessage() for record in caplog.records] == [
        f"OpenVINO cannot use device 'npu:9' (it finds {found}); the CPU is used."
    ]


def test_a_device_that_fails_is_told_apart_from_a_graph_that_is_broken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    core = backend.import_openvino().Core()
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    model: Any = core.read_model(str(path))
    # No machine has a hundredth GPU, so that opening it fails wherever this test runs.
    with pytest.raises(EnvironmentConfigurationError) as caught:
        backend._compiled(core, model, "GPU.99", onnx_request(path), "weights.onnx")
    first, second, last = str(caught.value).splitlines()
    assert first == "OpenVINO cannot run the graph on device 'gpu:99'."
    assert second.startswith("needs a working GPU.99; found: ")
    assert last == "check the driver of the device, or load with device='cpu'"
    with caplog.at_level(logging.WARNING, "inference-models"):
        _, device = backend._compiled(core, model, "GPU.99", onnx_request(path, allow_fallback=True), "weights.onnx")
    assert device == "CPU"
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage().startswith("OpenVINO cannot run the graph on GPU.99 (")


LOADS = """
import sys
from pathlib import Path
def refuse(event, arguments):
    # Asking the system's own name service for the user's home folder is no network.
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"}:
        raise SystemExit(f"opened a socket: {event} {arguments}")
sys.addaudithook(refuse)
from inference_models.backends import openvino
from inference_models.backends.session import SessionRequest
path = Path(sys.argv[1])
session = openvino.open_session(SessionRequest(directory=path.parent, files={"weights.onnx": path}))
import numpy, threading
session.run({"images": numpy.zeros((1, 3, 8, 8), "float32")})
assert openvino.TELEMETRY not in sys.modules
assert threading.active_count() == 1, threading.enumerate()
import openvino as their_module
assert callable(their_module.convert_model)
"""


def test_importing_and_running_sends_nothing_and_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "model" / "weights.onnx")
    home = tmp_path / "home"
    home.mkdir()
    # In a pipeline of continuous integration the telemetry is off by itself, and the test would prove nothing.
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "GITHUB_ACTIONS"}}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_DATA_HOME": str(home / "data")}
    subprocess.run([sys.executable, "-c", LOADS, str(path)], check=True, env=environment, timeout=120)
    assert list(home.rglob("*")) == []
