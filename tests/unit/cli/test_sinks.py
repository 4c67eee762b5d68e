"""Where an agent's bytes go: every kind of file, and readers that go away."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.cli.console import Console
from clove.cli.sinks import JSONSinks, Plain, Terminal, copy

DATA = bytes(range(256)) * 1000


@contextlib.contextmanager
def piped(data: bytes) -> Iterator[int]:
    """The reading end of a pipe that has these bytes, and then ends."""
    reader, writer = os.pipe()

    def fill() -> None:
        with contextlib.suppress(BrokenPipeError), open(writer, "wb", buffering=0) as file:
            file.write(data)

    thread = threading.Thread(target=fill)
    thread.start()
    yield reader
    os.close(reader)
    thread.join()


@pytest.mark.parametrize("flags", [0, os.O_APPEND], ids=["anew", "to append"])
def test_a_file_gets_the_bytes(tmp_path: Path, flags: int) -> None:
    path = tmp_path / "file"
    target = os.open(path, os.O_WRONLY | os.O_CREAT | flags)
    with piped(DATA) as source:
        copy(source, Plain(target))
    os.close(target)
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("blocking", [True, False])
def test_a_pipe_gets_the_bytes_whether_it_blocks_or_not(blocking: bool) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, blocking)
    found = []

    def read() -> None:
        with open(reader, "rb") as file:
            found.append(file.read())

    thread = threading.Thread(target=read)
    thread.start()
    with piped(DATA) as source:
        copy(source, Plain(writer))
    os.close(writer)
    thread.join()
    assert found == [DATA]


@pytest.mark.parametrize(
    ("quiet", "kind"), [("source", "pipe"), ("source", "file"), ("target", "pipe")]
)
def test_a_source_that_has_nothing_yet_is_waited_for_where_one_end_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: str, kind: str
) -> None:
    """A program that makes its end non-blocking has made it so for all that it starts."""
    source, feed = os.pipe()
    reader, target = os.pipe()
    if kind == "file":
        os.close(target)
        target = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    os.set_blocking(source if quiet == "source" else target, False)
    steps = ["end", "data"]

    def readable(descriptor: int) -> None:
        assert descriptor == source
        if steps.pop() == "data":
            os.write(feed, b"data")
        else:
            os.close(feed)

    monkeypatch.setattr("clove.cli.sinks._until_readable", readable)
    copy(source, Plain(target))
    assert steps == []  # it was asked for once a time
    found = (tmp_path / "file").read_bytes() if kind == "file" else os.read(reader, 100)
    for each in (source, reader, target):
        os.close(each)
    assert found == b"data"


def test_a_reader_that_is_gone_is_an_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with piped(DATA) as source, pytest.raises(BrokenPipeError):
        copy(source, Plain(writer))
    with pytest.raises(BrokenPipeError):
        Plain(writer).write(b"x")
    os.close(writer)


def test_without_a_stream_the_bytes_are_dropped() -> None:
    with piped(DATA) as source:
        copy(source, Plain(-1))
        assert os.read(source, 1) == b""


def test_a_terminal_gets_what_is_harmless() -> None:
    reader, writer = os.pipe()
    with piped(b"\x1b[1mbold\x1b[2J \xff") as source:
        copy(source, Terminal(writer))
    os.close(writer)
    with open(reader, "rb") as file:
        assert file.read() == "\x1b[1mbold \ufffd\x1b[0m".encode()


def test_machines_get_lines_of_both_streams_with_unfinished_ones_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    both = JSONSinks(Console(None, True))
    out, err = both.of("stdout"), both.of("stderr")
    out.write(b"one\ntw")
    err.write(b"err\n")
    out.write(b"o\n\xc3")
    out.write(b"\xa4")
    out.finish()
    printed = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(one["offset"], one["stream"], one["text"], one["partial"]) for one in printed] == [
        (0, "stdout", "one", False),
        (1, "stdout", "tw", True),
        (2, "stderr", "err", False),
        (3, "stdout", "o", False),
        (4, "stdout", "ä", True),
    ]
