from __future__ import annotations

import json

import pytest

from inference_models.text import json_text


@pytest.mark.parametrize("text", ["Stra\u00dfe \u732b", "\x9b2J", "\x1b[31m", "a\nb", "\udc80", '"quoted"'])
def test_json_on_a_terminal_is_exact_and_steers_nothing(text: str) -> None:
    told = json_text({"name": text})
    assert json.loads(told) == {"name": text}
    assert told.isprintable()


def test_letters_stay_readable() -> None:
    assert json_text(["Stra\u00dfe", "\u732b"]) == '["Stra\u00dfe", "\u732b"]'
