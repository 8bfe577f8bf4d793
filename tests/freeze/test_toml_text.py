"""TOML that a TOML reader reads back as what was written."""

from __future__ import annotations

import importlib
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_models.freeze.toml_text import toml_text

keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
plain = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
)
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))


def read(text: str) -> dict[str, object]:
    return importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(text)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(keys, values, max_size=4))
def test_what_is_written_reads_back_equal(data: dict[str, object]) -> None:
    assert read(toml_text(data)) == data


def test_it_reads_well() -> None:
    models = [{"id": "a", "files": [{"n": 1}], "none": None}, {"id": "b"}]
    lines = [
        "format = 1",
        "",
        "[runtimes]",
        'onnx = "1.2"',
        "",
        "[[models]]",
        'id = "a"',
        "",
        "[[models.files]]",
        "n = 1",
        "",
        "[[models]]",
        'id = "b"',
        "",
    ]
    assert toml_text({"format": 1, "runtimes": {"onnx": "1.2"}, "models": models}) == "\n".join(lines)


@pytest.mark.parametrize("value", [float("nan"), object(), "\ud800"])
def test_what_toml_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="has no TOML form"):
        toml_text({"a": value})
