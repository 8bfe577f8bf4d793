from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import graphs
from backends.contract import varied_feed_for
from backends.test_files import CASES, save_ir
from inference_models.backends import onnx
from inference_models.backends import openvino as backend
from inference_models.backends.session import SessionRequest
from inference_models.errors import CorruptedModelPackageError, EnvironmentConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


if backend.RUNTIME.installed_version() is None:
    pytest.skip("needs OpenVINO", allow_module_level=True)
VERSION = backend.RUNTIME.installed_version()
UPDATE = 'export or fetch the file again, or update the runtime: pip install -U "openvino>=2025.0"'


def onnx_request(path: Path, **changes: object) -> SessionRequest:
    return SessionRequest(directory=path.parent, files={"weights.onnx": path}, **changes)


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
    session = backend.open_session(SessionRequest(directory=tmp_path, files=save_ir(path, tmp_path)))
    original = backend.open_session(onnx_request(path))
    assert (session.inputs, session.outputs) == (original.inputs, original.outputs)
    feeds = varied_feed_for(session, batch=1)
    # The same plug-in runs the same operators: openvino 2026.4 gave equal numbers; 1e-4 leaves room for its fusions.
    np.testing.assert_allclose(session.run(feeds)["output"], original.run(feeds)["output"], atol=1e-4, rtol=0)


def test_elements_of_slices_of_one_tensor_are_gathered_as_in_onnx_runtime(tmp_path: Path) -> None:
    """As Ultralytics exports the final rows of oriented boxes."""
    from onnx import helper

    made = {"boxes": (0, 4), "scores": (4, 7), "angles": (7, 8)}
    weights = {"axis": [2], "step": [1], "five": [5], "last": [-1]}
    nodes = [helper.make_node("Transpose", ["x"], ["rows"], perm=[0, 2, 1])]
    for name, (start, stop) in made.items():
        weights |= {f"{name}_start": [start], f"{name}_stop": [stop]}
        nodes.append(helper.make_node("Slice", ["rows", f"{name}_start", f"{name}_stop", "axis", "step"], [name]))
    nodes += [
        helper.make_node("ReduceMax", ["scores"], ["best"], axes=[2], keepdims=0),
        helper.make_node("TopK", ["best", "five"], ["values", "places"]),
        helper.make_node("Unsqueeze", ["places", "last"], ["column"]),
        helper.make_node("Unsqueeze", ["values", "last"], ["confidence"]),
    ]
    for name, width in (("boxes", 4), ("angles", 1)):
        weights[f"{name}_shape"] = [1, 5, width]
        nodes.append(helper.make_node("Expand", ["column", f"{name}_shape"], [f"{name}_places"]))
        nodes.append(helper.make_node("GatherElements", [name, f"{name}_places"], [f"best_{name}"], axis=1))
    nodes.append(helper.make_node("Concat", ["best_boxes", "confidence", "best_angles"], ["output0"], axis=2))
    path = graphs.save(
        tmp_path / "weights.onnx",
        nodes,
        inputs={"x": [1, 8, 20]},
        outputs={"output0": [1, 5, 6]},
        weights={name: np.array(values, np.int64) for name, values in weights.items()},
    )
    feeds = {"x": np.random.default_rng(0).random((1, 8, 20), np.float32)}
    ours, theirs = (module.open_session(onnx_request(path)).run(feeds)["output0"] for module in (backend, onnx))
    np.testing.assert_array_equal(ours, theirs)


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
    request = CASES["ir"].request(tmp_path)
    request.files["weights.xml"].write_bytes(content)
    with pytest.raises(CorruptedModelPackageError) as caught:
        backend.open_session(request)
    assert str(caught.value) == (
        "weights.xml is not an OpenVINO graph.\n"
        f"needs XML that begins with <net>; found: {found}\n"
        "export or fetch the file again"
    )


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


@pytest.mark.parametrize(("device", "needs"), [("gpu:1", "GPU.1"), ("mps", "device 'cpu', 'gpu' or 'npu'")])
def test_a_device_that_is_not_there_is_refused(tmp_path: Path, device: str, needs: str) -> None:
    with pytest.raises(EnvironmentConfigurationError) as caught:
        backend.choose_device(onnx_request(tmp_path, device=device), Devices("CPU"))
    assert str(caught.value).splitlines()[1:] == [f"needs {needs}; found: CPU", "device='cpu'"]


def test_a_device_that_fails_is_told_apart_from_a_graph_that_is_broken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    core = backend.import_openvino().Core()
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    model: Any = core.read_model(str(path))
    # No machine has a hundredth GPU, so that opening it fails wherever this test runs.
    with pytest.raises(EnvironmentConfigurationError) as caught:
        backend._compiled(core, model, "GPU.99", onnx_request(path))
    first, second, last = str(caught.value).splitlines()
    assert first == "OpenVINO cannot run the graph on device 'gpu:99'."
    assert second.startswith("needs a working GPU.99; found: ")
    assert last == "check the driver of the device, or load with device='cpu'"
    with caplog.at_level(logging.WARNING, "inference-models"):
        _, device = backend._compiled(core, model, "GPU.99", onnx_request(path, allow_fallback=True))
    assert device == "CPU"
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage().startswith("OpenVINO cannot run the graph on GPU.99 (")
