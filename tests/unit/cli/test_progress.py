"""The line that says how far a copy is."""

from __future__ import annotations

import io

from clove.cli.progress import Progress


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_is_shown_when_something_takes_long_and_gives_room_to_other_lines() -> None:
    now = [0.0]
    screen = Screen()
    progress = Progress(screen, lambda: now[0])
    progress.tell("a", 1, 10)
    progress.clear()
    assert screen.getvalue() == ""
    now[0] = 1.5
    progress.tell("a\x1b", 2048, 4096)
    progress.tell("a", 3000, 4096)
    assert screen.getvalue() == "\r\x1b[Ka: 2K of 4K"
    progress.clear()
    progress.clear()
    assert screen.getvalue().endswith("4K\r\x1b[K")


def test_there_is_none_without_a_terminal_or_for_machines() -> None:
    for stream, shown in ((io.StringIO(), True), (Screen(), False)):
        now = iter(range(0, 100, 10))
        Progress(stream, lambda now=now: next(now), shown=shown).tell("a", 1, 0)  # type: ignore[misc]
        assert stream.getvalue() == ""
