from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from inference_models.cache.facts import Facts

if TYPE_CHECKING:
    from pathlib import Path


class Fact(msgspec.Struct):
    number: int


@pytest.fixture
def facts(tmp_path: Path) -> Facts[Fact]:
    return Facts(tmp_path / "facts", Fact, "fact ignored: %s")


def test_what_was_written_is_read_and_replaced_and_forgotten(facts: Facts[Fact]) -> None:
    assert facts.read("group/name") is None
    path = facts.write("group/name", Fact(number=1))
    assert facts.write("group/name", Fact(number=2)) == path == facts.path_of("group/name")
    assert facts.read("group/name") == Fact(number=2)
    assert facts.remove("group/name")
    assert facts.read("group/name") is None
    assert facts.remove("group/name")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: b"", "it is no JSON object"),
        (lambda data: data[: len(data) // 2], "it is no JSON object"),
        (lambda data: b"[" * 100_000, "it is no JSON object"),
        (lambda data: bytes(range(256)), "it is no JSON object"),
        (lambda data: b"[1, 2]", "it is no JSON object"),
        (lambda data: data.replace(b"1", b"2", 1), "its checksum does not match"),
        (lambda data: json.dumps({"number": 1}).encode(), "its checksum does not match"),
    ],
    ids=["empty", "truncated", "deep", "bytes", "list", "one digit", "no checksum"],
)
def test_damage_counts_as_absent_and_is_said(
    facts: Facts[Fact], change: object, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = facts.write("name", Fact(number=1))
    path.write_bytes(change(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert facts.read("name") is None
    assert caplog.messages == [f"{path}: fact ignored: {reason}"]


def test_another_format_counts_as_absent_and_is_said(facts: Facts[Fact], caplog: pytest.LogCaptureFixture) -> None:
    class Other(msgspec.Struct):
        text: str

    path = Facts(facts.folder, Other, "").write("name", Other(text="a"))
    with caplog.at_level(logging.WARNING):
        assert facts.read("name") is None
    assert caplog.messages == [f"{path}: fact ignored: it is not of this format"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("what", ["folder", "link", "pipe"])
def test_what_is_no_file_is_not_followed_and_can_be_replaced(facts: Facts[Fact], tmp_path: Path, what: str) -> None:
    path = facts.write("name", Fact(number=1))
    moved = path.rename(tmp_path / "elsewhere.json")
    if what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to(moved)
    else:
        os.mkfifo(path)
    assert facts.read("name") is None
    facts.write("name", Fact(number=2))
    assert facts.read("name") == Fact(number=2)


def test_clearing_takes_folders_in_the_place_of_files_too(facts: Facts[Fact]) -> None:
    facts.write("one", Fact(number=1))
    facts.path_of("two").mkdir()
    assert facts.clear() == 2
    assert facts.read("one") is None
