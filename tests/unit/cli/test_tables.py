"""Tables on terminals that have little room."""

from __future__ import annotations

import io
import re
import sys

import pytest

from clove.cli.tables import make_table, print_table

TITLES = ("ID", "NAME", "STATE", "PID", "UPTIME", "ENDED", "RESTARTS", "PARENT", "COMMAND")
ROW = ("8", "seven", "exited", "-", "0s", "exit 7 2s ago", "0", "7", "/usr/bin/python3 /a/path.py")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [20, 60, 74, 75, 76, 80, 81, 100, 132])
@pytest.mark.parametrize("name", ["seven", "a-name-that-is-rather-long"])
def test_the_last_column_alone_is_cut(
    monkeypatch: pytest.MonkeyPatch, width: int, name: str
) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    print_table(make_table(TITLES, [(ROW[0], name, *ROW[2:])], numbers=("ID", "PID")))
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue())
    heads, line = text.rstrip("\n").split("\n")
    assert heads.split() == list(TITLES)
    *whole, last = re.split(r"\s{2,}", line.strip())
    assert whole == [ROW[0], name, *ROW[2:8]]
    assert ROW[8].startswith(last.rstrip("…"))
    least = len(line) - len(last) + len("COMMAND") + 1
    assert len(line.rstrip()) <= max(width, least)


def test_a_column_goes_on_in_the_next_line_where_that_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    why = "the token is not valid: it is unknown, revoked, used up or expired"
    print_table(make_table(("KIND", "WHY"), [("token", why)], wrapped="WHY"))
    _, *lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue()).rstrip("\n").split("\n")
    assert len(lines) > 1
    assert max(map(len, lines)) <= 40
    assert " ".join(" ".join(lines).split()) == f"token {why}"


def shown_on(
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    row: tuple[str, ...],
    spare: tuple[str, ...] = ("PARENT", "RESTARTS"),
) -> list[str]:
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    print_table(make_table(TITLES, [row], numbers=("ID", "PID")), spare=spare)
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue()).rstrip("\n").split("\n")


@pytest.mark.parametrize("width", range(60, 200, 7))
def test_a_long_last_column_takes_no_other_ones_place(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    heads, line = shown_on(width, monkeypatch, (*ROW[:8], "x" * 60))
    assert heads.split()[:2] == ["ID", "NAME"]
    assert line.split()[:2] == [ROW[0], ROW[1]]
    assert len(line) <= width


def test_columns_that_can_be_spared_go_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [shown_on(width, monkeypatch, ROW)[0].split() for width in (132, 74, 66)]
    assert found[0] == list(TITLES)
    assert found[1] == [each for each in TITLES if each != "PARENT"]
    assert found[2] == [each for each in TITLES if each not in ("PARENT", "RESTARTS")]


@pytest.mark.parametrize("width", range(60, 132))
def test_where_columns_are_left_out_those_that_stay_are_whole(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    heads, line = shown_on(width, monkeypatch, (*ROW[:8], "-"), ("PID", "UPTIME", "STATE"))
    assert set(heads.split()) <= set(TITLES)
    assert "…" not in line
