"""Where an agent's bytes go: a pipe or file as they are, a terminal filtered, JSON for machines."""

from __future__ import annotations

import codecs
import contextlib
import errno
import fcntl
import os
import select
import stat
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from clove.cli.console import Console
from clove.cli.terminal_filter import TerminalFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from clove.client.attached import Attached

__all__ = [
    "JSONSinks",
    "Plain",
    "Sink",
    "Terminal",
    "copy",
    "copy_input",
    "read_piece",
    "sink_of",
    "sinks",
]

PIECE = 1 << 18
"""Bytes read at once; as many as an attachment's pipe has room for."""
_MOST_SPLICED = 1 << 20


class Sink(Protocol):
    """Takes one stream's bytes. Each method raises BrokenPipeError where nothing reads them."""

    def write(self, data: bytes) -> None:
        """Take bytes."""

    def finish(self) -> None:
        """No more will come."""


class Plain:
    """Writes bytes as they are.

    @param descriptor: a file, a pipe, a socket; -1: there is none, and they are dropped.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def write(self, data: bytes) -> None:
        """Write all of it, however long that takes."""
        rest = memoryview(data)
        while rest and self.descriptor >= 0:
            try:
                rest = rest[os.write(self.descriptor, rest) :]
            except BlockingIOError:  # another process has made it so
                _until_writable(self.descriptor)

    def finish(self) -> None:
        """It is all there."""


class Terminal(Plain):
    """Writes what is harmless on a terminal."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._filter = TerminalFilter()

    def write(self, data: bytes) -> None:
        """Write what of it passes."""
        super().write(self._filter.feed(data).encode())

    def finish(self) -> None:
        """Write what was left, and reset styles."""
        super().write(self._filter.finish().encode())


class JSONSinks:
    """Prints lines for machines, of both streams, numbered in one order.

    A line without its newline yet is printed at once, as `partial`; what follows goes on with it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._offset = 0

    def of(self, stream: str) -> Sink:
        """The sink of one stream."""
        return _JSONSink(self, stream)

    def show(self, stream: str, text: str, partial: bool) -> None:
        """Print a line, or a piece of one."""
        with self._lock:
            fields = {"offset": self._offset, "stream": stream, "text": text, "partial": partial}
            stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._console.data({**fields, "timestamp": stamp})
            self._offset += 1


class _JSONSink:
    def __init__(self, all_of_them: JSONSinks, stream: str) -> None:
        self._show = all_of_them.show
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def write(self, data: bytes) -> None:
        """Print its lines."""
        self._print(self._decode(data))

    def finish(self) -> None:
        """Print what no letter has become of."""
        self._print(self._decode(b"", True))

    def _print(self, text: str) -> None:
        *lines, rest = text.split("\n")
        for line in lines:
            self._show(self._stream, line, False)
        if rest:
            self._show(self._stream, rest, True)


def sinks(console: Console) -> dict[str, Sink]:
    """Where stdout and stderr go here, by their names."""
    if console.as_json:
        both = JSONSinks(console)
        return {name: both.of(name) for name in ("stdout", "stderr")}
    return {"stdout": sink_of(sys.stdout), "stderr": sink_of(sys.stderr)}


def sink_of(stream: TextIO | Any) -> Sink:
    """The sink that is one of our own streams."""
    if stream is None:  # this process was started without it
        return Plain(-1)
    stream.flush()
    kind = Terminal if stream.isatty() else Plain
    return kind(stream.fileno())


def copy(source: int, sink: Sink) -> None:
    """Copy a pipe to its end; without looking at the bytes where that can be.

    @raise OSError: they cannot be written; BrokenPipeError where nothing reads them.
    """
    if type(sink) is Plain and sink.descriptor >= 0 and _splice(source, sink.descriptor):
        return
    while data := read_piece(source):
        sink.write(data)
    sink.finish()


def copy_input(attached: Attached[Any], unreadable: Callable[[OSError], None]) -> None:
    """Copy our standard input to that of an agent or a command, and then its end.

    @param unreadable: is told before that where it could not be read to its end.
    """
    try:
        copy(sys.stdin.fileno(), Plain(attached.descriptors["stdin"]))
    except (BrokenPipeError, KeyError):  # it reads no more of it, or is over
        pass
    except OSError as error:
        if error.errno != errno.EBADF:  # else it was closed meanwhile
            unreadable(error)
    attached.close_stream("stdin")


def _splice(source: int, target: int) -> bool:
    """Move what comes by splice(2); False where that cannot be done.

    Not into a regular file: write(2) locks the position in it, which others may have as well (`> log 2>&1`),
    and splice(2) does not, so that one stream would be written over the other.
    """
    if stat.S_ISREG(os.fstat(target).st_mode):
        return False
    with contextlib.suppress(OSError):  # no pipe, or the user's pipes hold enough (pipe(7))
        if fcntl.fcntl(target, fcntl.F_GETPIPE_SZ) < PIECE:
            fcntl.fcntl(target, fcntl.F_SETPIPE_SZ, PIECE)
    while True:
        try:
            if not os.splice(source, target, _MOST_SPLICED):
                return True
        except BlockingIOError:  # one of the two is so: it may be the other that is waited for
            _until_readable(source)
            _until_writable(target)
        except BrokenPipeError:
            raise
        except OSError:  # opened to append, or of a kind that takes none
            return False


def read_piece(source: int, most: int = PIECE) -> bytes:
    """Read what is there, once there is something; nothing at the end.

    @raise OSError: it cannot be read.
    """
    while True:
        try:
            return os.read(source, most)
        except BlockingIOError:
            _until_readable(source)


def _until_readable(descriptor: int) -> None:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    waiting.poll()


def _until_writable(descriptor: int) -> None:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLOUT)
    waiting.poll()
