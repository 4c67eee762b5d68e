"""What takes long is said on a terminal, and nowhere else."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from clove.cli import progress
from clove.cli.console import Console
from clove.cli.progress import telling_of


class Screen(io.StringIO):
    """@ivar told: set when something was written."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal
        self.told = threading.Event()

    def isatty(self) -> bool:
        return self._terminal

    def flush(self) -> None:
        self.told.set()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST", 0.0)


def screen(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> Screen:
    made = Screen(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", made)
    return made


def test_a_terminal_is_told_and_the_line_goes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = screen(monkeypatch, terminal=True)
    with telling_of(Console(None, as_json=False), "sending\x1b[2J 7M to m1"):
        assert shown.told.wait(10)
    assert "sending" in shown.getvalue()
    assert "\x1b[2J" not in shown.getvalue()
    assert shown.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(("terminal", "as_json"), [(False, False), (True, True)])
def test_a_pipe_and_a_program_are_not(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, as_json: bool
) -> None:
    shown = screen(monkeypatch, terminal=terminal)
    before = threading.active_count()
    with telling_of(Console(None, as_json=as_json), "sending"):
        assert threading.active_count() == before
    assert not shown.getvalue()


def test_what_is_quick_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST", 1000.0)
    shown = screen(monkeypatch, terminal=True)
    with telling_of(Console(None, as_json=False), "sending"):
        pass
    assert not shown.getvalue()
