from __future__ import annotations

import io

import pytest
from rich.console import Console

from inference_models.negotiate.layout import fact, named, one_line, print_lines, size_text, wrapped


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (7_312_345, "7.3 MB"),
        (999_949_000, "999.9 MB"),
        (999_960_000, "1.0 GB"),
        (1_234_000_000_000, "1,234.0 GB"),
    ],
)
def test_sizes_are_told_as_people_read_them(size: int, text: str) -> None:
    assert size_text(size) == text


def test_a_text_of_a_stranger_stays_on_its_line_and_steers_nothing() -> None:
    assert one_line("a\n  would run  x\x1b[2J\u202eb\t") == "a would run x\\x1b[2J\\u202eb"


def test_words_are_never_broken() -> None:
    command = 'pip install "onnxruntime>=1.19"'
    path = "/a-very/long-folder/" + "x" * 80
    assert wrapped(f"{command} {path}", width=60, indent=4, hanging=2) == [f"    {command}", f"      {path}"]


def test_a_terminal_that_is_too_narrow_is_taken_for_one_of_sixty_columns() -> None:
    assert [len(line) for line in wrapped("word " * 30, width=10)] == [59, 59, 29]


def test_a_name_that_fits_stands_beside_its_text_and_a_longer_one_above() -> None:
    assert named("task", ["                 a", "                 b"]) == ["  task           a", "                 b"]
    assert named("f" * 20, ["                 a"]) == ["  " + "f" * 20, "                 a"]
    assert named("left", []) == ["  left"]


def test_a_long_fact_continues_below_its_beginning() -> None:
    assert fact("licence", "word " * 20, width=60) == [
        "  licence        word word word word word word word word",
        "                 word word word word word word word word",
        "                 word word word word",
    ]


def test_lines_are_printed_as_they_are_whatever_the_width_of_the_terminal() -> None:
    console = Console(file=io.StringIO(), width=20)
    print_lines(["[bold]head[/]", "x" * 60], console)
    assert console.file.getvalue() == "[bold]head[/]\n" + "x" * 60 + "\n"
