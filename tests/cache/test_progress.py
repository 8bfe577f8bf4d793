from __future__ import annotations

import io
import sys

from inference_models.cache.progress import Progress, shown_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def use_terminal(monkeypatch):
    """Not a fixture: pytest sets `sys.stderr` anew when the test itself begins."""
    monkeypatch.delenv("DISABLE_INTERACTIVE_PROGRESS_BARS", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def report(show):
    show(Progress("weights.onnx", 50, 100))
    show(Progress("weights.onnx", 100, 100))


def test_a_terminal_shows_a_bar_with_the_name_of_the_file(monkeypatch):
    terminal = use_terminal(monkeypatch)
    with shown_progress() as show:
        report(show)
    assert "weights.onnx" in terminal.getvalue()


def test_anything_but_a_terminal_shows_nothing(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    with shown_progress() as show:
        report(show)
    assert screen.getvalue() == ""


def test_a_process_without_stderr_is_no_problem(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with shown_progress() as show:
        report(show)


def test_bars_can_be_switched_off(monkeypatch):
    terminal = use_terminal(monkeypatch)
    monkeypatch.setenv("DISABLE_INTERACTIVE_PROGRESS_BARS", "true")
    with shown_progress() as show:
        report(show)
    assert terminal.getvalue() == ""


def test_a_second_load_at_the_same_time_shows_nothing_and_works(monkeypatch):
    terminal = use_terminal(monkeypatch)
    with shown_progress() as first, shown_progress() as second:
        second(Progress("second.onnx", 1, 2))
        report(first)
    assert "weights.onnx" in terminal.getvalue()
    assert "second.onnx" not in terminal.getvalue()
