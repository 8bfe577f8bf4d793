from __future__ import annotations

import errno
import io
import sys

import pytest

from inference_models.measure.progress import shown_progress


class Terminal(io.StringIO):
    """Somebody looks, until the connection is lost."""

    lost = False

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.lost:
            raise OSError(errno.EIO, "Input/output error")
        return super().write(text)


def test_nothing_is_drawn_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress() as progress:
        progress("round 1", 0.5)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("lost", ["before", "meanwhile", "never"])
def test_a_terminal_that_goes_away_disturbs_nobody(monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    terminal.lost = lost == "before"
    with shown_progress() as progress:
        progress("opening: first", 0.1)
        terminal.lost = lost != "never"
        progress("opening: second", 0.2)
    assert sys.stderr is terminal
    assert ("opening: first" in terminal.getvalue()) == (lost != "before")
    assert ("opening: second" in terminal.getvalue()) == (lost == "never")


def test_an_error_of_what_is_measured_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", Terminal())
    with pytest.raises(OSError, match=r"^no space left$"), shown_progress():
        raise OSError("no space left")
