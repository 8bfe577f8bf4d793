from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_models.arrays import TensorSpec
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.onnx_file import parse_onnx, read_onnx_file
from package.onnx_models import external, small_model

GOOD = small_model().SerializeToString()


def refused(data: bytes) -> str:
    with pytest.raises(CorruptedModelPackageError) as caught:
        parse_onnx(data, Path("m.onnx"))
    return str(caught.value)


def text(found: str) -> str:
    return f"m.onnx is not an ONNX graph.\nneeds a complete ONNX file; found: {found}\nexport or fetch the file again"


def test_a_graph_tells_its_facts(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(GOOD)
    facts = read_onnx_file(path)
    assert (facts.path, facts.opset) == (path, 17)
    assert facts.metadata == {"task": "detect"}
    # `w` is an input with a stored value: a run need not give it.
    assert facts.inputs == (TensorSpec("x", (None, 3, 8, None), "float32"),)
    assert facts.outputs == (TensorSpec("y", (1, 4, 8, 8), "float16"),)
    assert facts.external == ()


def test_real_weights_tell_what_the_onnx_package_tells(shared_data):
    path = shared_data / "yolox_nano.onnx"
    facts, expected = read_onnx_file(path), onnx.load(path)
    assert facts.opset == expected.opset_import[0].version == 11
    assert facts.inputs == (TensorSpec("images", (1, 3, 416, 416), "float32"),)
    assert facts.outputs == (TensorSpec("output", (1, 3549, 85), "float32"),)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "m.onnx"
    path.touch()
    with pytest.raises(CorruptedModelPackageError) as caught:
        read_onnx_file(path)
    assert str(caught.value) == text("an empty file")


def test_a_file_that_vanished_is_said_to_have_vanished(tmp_path):
    with pytest.raises(CorruptedModelPackageError) as caught:
        read_onnx_file(tmp_path / "m.onnx")
    assert str(caught.value) == (
        "m.onnx was removed while it was opened.\n"
        "needs the file where it was found; found: no such file any more\nload the model again"
    )


def test_a_folder_is_no_graph(tmp_path):
    (tmp_path / "m.onnx").mkdir()
    with pytest.raises(CorruptedModelPackageError) as caught:
        read_onnx_file(tmp_path / "m.onnx")
    assert str(caught.value) == text("Is a directory")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"<html>", "a field of unknown kind 4 at byte 1"),
        (b"PK\x03\x04", "an impossible field number at byte 2"),
        (b"\x08\x07", "no graph before the end at byte 2"),
        (b"\x08", "the end of the data inside a number at byte 1"),
        (b"\x00\x00", "an impossible field number at byte 0"),
        (b"\x08" + b"\xff" * 11, "a number of more than 64 bits at byte 1"),
    ],
)
def test_bytes_that_are_no_graph_are_refused_with_their_position(data, found):
    assert refused(data) == text(found)


@pytest.mark.parametrize("cut", range(1, len(GOOD), 7))
def test_a_truncated_file_never_raises_anything_else(cut):
    try:
        parse_onnx(GOOD[:cut], Path("m.onnx"))
    except CorruptedModelPackageError:
        return


def test_a_graph_cut_in_the_middle_is_refused():
    assert "where" in refused(GOOD[: len(GOOD) // 2])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_changed_bytes_are_read_or_refused(changes):
    data = bytearray(GOOD)
    for position, value in changes:
        data[position] = value
    try:
        parse_onnx(bytes(data), Path("m.onnx"))
    except CorruptedModelPackageError as exc:
        assert exc.summary == "m.onnx is not an ONNX graph."  # noqa: PT017 - any other outcome is fine too


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=4096))
def test_random_bytes_are_read_or_refused(data):
    try:
        parse_onnx(data, Path("m.onnx"))
    except CorruptedModelPackageError:
        return


def encode_message(number: int, content: bytes) -> bytes:
    """A field with this number, below 16, that holds `content`."""
    length, size = [], len(content)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


def nested(depth: int) -> bytes:
    graph = encode_message(2, b"location")
    for _ in range(depth):
        graph = encode_message(1, encode_message(5, encode_message(6, graph)))
    return encode_message(7, graph)


def test_absurd_nesting_is_refused_and_sane_nesting_is_not():
    parse_onnx(nested(20), Path("m.onnx"))
    assert "more than 100 messages inside each other" in refused(nested(3000))


def places():
    """A model with one external tensor, for every place a tensor can be."""
    tensor = external()
    sparse = onnx.SparseTensorProto(values=tensor, dims=[4])
    body = onnx.GraphProto(initializer=[tensor])
    constant = onnx.NodeProto(op_type="Constant", attribute=[onnx.AttributeProto(name="value", t=tensor)])
    function = onnx.FunctionProto(name="f", node=[constant])
    default = onnx.FunctionProto(name="f", attribute_proto=[onnx.AttributeProto(name="a", t=tensor)])
    parts = {
        "initializer": {"graph": onnx.GraphProto(initializer=[tensor])},
        "sparse values": {"graph": onnx.GraphProto(sparse_initializer=[sparse])},
        "sparse indices": {"graph": onnx.GraphProto(sparse_initializer=[onnx.SparseTensorProto(indices=tensor)])},
        "constant": {"graph": onnx.GraphProto(node=[constant])},
        "training": {"training_info": [onnx.TrainingInfoProto(algorithm=body)]},
        "function": {"functions": [function]},
        "function default": {"functions": [default]},
        # Readers merge repeated fields: what stands in a second graph is loaded as well.
        "second graph": {"graph": onnx.GraphProto(initializer=[tensor])},
    }
    for name, value in {"tensors": [tensor], "g": body, "graphs": [body], "sparse_tensor": sparse}.items():
        node = onnx.NodeProto(attribute=[onnx.AttributeProto(name="a", **{name: value})])
        parts[f"attribute {name}"] = {"graph": onnx.GraphProto(node=[node])}
    for place, part in parts.items():
        more = onnx.ModelProto(**part)
        if place == "second graph":
            yield place, GOOD + more.SerializeToString()
        else:
            model = small_model()
            model.MergeFrom(more)
            yield place, model.SerializeToString()


@pytest.mark.parametrize(("place", "data"), [*places()])
def test_an_external_tensor_is_found_wherever_it_is(place, data):
    found = parse_onnx(data, Path("m.onnx")).external
    assert [(tensor.name, dict(tensor.entries)) for tensor in found] == [("e", {"location": "data.bin"})], place
