"""CLIP's tokens against those of open_clip 3.3 with ftfy 6.3.1, which `tools/record_embeddings.py` recorded."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from inference_models.errors import MissingDependencyError
from inference_models.package.text_tokens import clip_tokens

RECORDED = json.loads(Path(__file__, "../../families/recorded/clip/tokens.json").resolve().read_text("utf-8"))


def test_tokens_are_those_of_the_project_of_clip():
    pytest.importorskip("tokenizers")
    tokens = clip_tokens()
    rows, mask = tokens.rows(list(RECORDED), 77)
    for text, row, seen, wanted in zip(RECORDED, rows, mask, RECORDED.values(), strict=True):
        np.testing.assert_array_equal(row[: len(wanted)], wanted, err_msg=text)
        assert not row[len(wanted) :].any()
        assert seen.sum() == len(wanted)


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    clip_tokens.__globals__["_clip_tokenizer"].cache_clear()
    with pytest.raises(MissingDependencyError) as caught:
        clip_tokens()
    assert str(caught.value) == (
        'texts cannot be turned into tokens.\nneeds tokenizers; found: not installed\npip install "tokenizers>=0.15,<1"'
    )
