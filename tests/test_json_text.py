from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import inference_models
from inference_models.text import (
    MAX_DEPTH,
    InvalidValue,
    JsonRefusedError,
    strict_object,
    tolerant_object,
    too_deep,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
READERS = pytest.mark.parametrize("read", [strict_object, tolerant_object])


def nested(levels: int) -> str:
    return '{"a":' + "[" * (levels - 1) + "]" * (levels - 1) + "}"


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=6))
def test_what_json_writes_is_read_by_both(value: dict[str, object]) -> None:
    text = json.dumps(value)
    assert strict_object(text) == tolerant_object(text) == json.loads(text)


@READERS
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "Expecting value at line 1, column 1"),
        ("[1]", "[1]"),
        ('"' + "x" * 100 + '"', '"' + "x" * 76 + "..."),
        ('{"a": 1, "a": 2}', 'the key "a" twice'),
        ("NaN", "NaN, which is not JSON"),
        ('{"a": [' + "0," * 400_000 + "0]}", "more than 300000 values"),
        ("[" * 100_000, "values nested too deeply"),
    ],
    ids=["nothing", "list", "long", "twice", "constant", "large", "deep"],
)
def test_a_text_that_is_no_object_is_refused_by_both(read, text: str, found: str) -> None:
    with pytest.raises(JsonRefusedError) as caught:
        read(text)
    assert str(caught.value) == found


@pytest.mark.parametrize(
    ("inner", "found"),
    [
        ('{"b": 1, "b": 2}', 'the key "b" twice'),
        ("NaN", "NaN, which is not JSON"),
        ("-Infinity", "-Infinity, which is not JSON"),
        ("-1e400", "-1e400, which is too large a number"),
    ],
)
def test_one_wrong_value_stops_the_strict_reader_only(inner: str, found: str) -> None:
    text = f'{{"good": 1, "bad": [{inner}]}}'
    with pytest.raises(JsonRefusedError) as caught:
        strict_object(text)
    assert str(caught.value) == found
    value = tolerant_object(text)
    assert value["good"] == 1
    assert isinstance(value["bad"][0], InvalidValue)
    assert repr(value["bad"][0]) == found


def test_depth_is_counted_exactly() -> None:
    assert strict_object(nested(MAX_DEPTH)) == json.loads(nested(MAX_DEPTH))
    with pytest.raises(JsonRefusedError, match="values nested too deeply"):
        strict_object(nested(MAX_DEPTH + 1))
    assert too_deep(tolerant_object(nested(MAX_DEPTH + 1)))


def test_texts_of_packages_and_answers_have_no_reader_of_their_own() -> None:
    root = Path(inference_models.__file__).parent
    for path in [
        *(root / "package").glob("*.py"),
        *(root / "providers").glob("*.py"),
        *(root / "registry").glob("*.py"),
    ]:
        names = {
            f"{node.value.id}.{node.attr}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        # Lists of names and literals of exporters are no objects, and bounded where they are read; what is written as
        # JSON and read again at once is nobody else's text.
        allowed = {"json.loads"} if path.name in {"class_names.py", "exporter_texts.py", "metadata_json.py"} else set()
        assert not names & {"json.loads", "json.load", "json.JSONDecoder"} - allowed, path.name
