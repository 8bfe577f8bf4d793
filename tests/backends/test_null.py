from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.contract import SessionContract
from inference_models.backends import null as backend
from inference_models.backends.session import SessionRequest
from inference_models.errors import CorruptedModelPackageError

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.backends.session import Session

GRAPH = {
    "inputs": [{"name": "images", "shape": [None, 3, 8, 8]}],
    "outputs": [{"name": "a", "shape": [None, 6], "value": 0.25}, {"name": "b", "shape": [None, 2], "dtype": "int64"}],
}


def request_for(folder: Path, text: str, **changes: object) -> SessionRequest:
    path = folder / "graph.json"
    path.write_text(text)
    return SessionRequest(directory=folder, files={"graph.json": path}, **changes)


class TestNullSession(SessionContract):
    @pytest.fixture
    def session(self, tmp_path: Path) -> Session:
        return backend.open_session(request_for(tmp_path, json.dumps(GRAPH)))


def test_outputs_are_filled_with_the_stated_value(tmp_path: Path) -> None:
    session = backend.open_session(request_for(tmp_path, json.dumps(GRAPH)))
    result = session.run({"images": np.zeros((2, 3, 8, 8), np.float32)})
    np.testing.assert_array_equal(result["a"], np.full((2, 6), 0.25, np.float32))
    np.testing.assert_array_equal(result["b"], np.zeros((2, 2), np.int64))


def test_a_graph_file_with_unknown_keys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptedModelPackageError, match=r"^graph.json: Object contains unknown field `code`.$"):
        backend.open_session(request_for(tmp_path, json.dumps({**GRAPH, "code": "x.py"})))
