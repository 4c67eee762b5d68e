"""`clove` in a process of its own, forked from the tests': on a terminal of 80 columns, or with pipes.

A process that is executed would import all of the command again, a quarter of a second for each.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import sys
import termios
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from clove.cli.main import main
from tests.waiting import PATIENCE

__all__ = ["COLUMNS", "CONTROL", "Ran", "on_terminal", "with_pipes"]

COLUMNS = 80
STYLE = re.compile(r"\x1b\[[0-9;]*m")
SCREEN = re.compile(r"\x1b\[(\?1049[hl]|\?25[hl]|H)")
"""What turns to another screen and back, for `top`."""
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
BETWEEN = 0.01
"""Seconds between two looks at what happens meanwhile."""


class Ran(NamedTuple):
    """@ivar out, err: what was written; of a terminal as it shows it, without colours."""

    code: int
    out: str
    err: str


def on_terminal(words: Sequence[str], environ: Mapping[str, str], **more: object) -> Ran:
    """With standard input and output on a terminal, standard error on another one; parameters as L{with_pipes}."""
    ends = [_terminal(), _terminal()]
    ran = _run(words, {**environ, "TERM": "xterm"}, ends, **more)  # type: ignore[arg-type]
    return Ran(ran.code, _shown(ran.out), _shown(ran.err))


def with_pipes(
    words: Sequence[str],
    environ: Mapping[str, str],
    *,
    typed: str = "",
    until: str = "",
    meanwhile: Callable[[str], object] | None = None,
    prepare: Callable[[], None] | None = None,
) -> Ran:
    """With pipes, and standard input that is at its end behind C{typed}.

    @param until: once this was written, it is interrupted.
    @param prepare: is called in its process.
    @param meanwhile: is called again and again, with what was written so far.
    """
    ends = [os.pipe(), os.pipe()]
    return _run(
        words, environ, ends, typed=typed, until=until, meanwhile=meanwhile, prepare=prepare
    )


def _run(
    words: Sequence[str],
    environ: Mapping[str, str],
    ends: list[tuple[int, int]],
    *,
    typed: str = "",
    until: str = "",
    meanwhile: Callable[[str], object] | None = None,
    prepare: Callable[[], None] | None = None,
) -> Ran:
    (read_out, write_out), (read_err, write_err) = ends
    terminal = os.isatty(write_out)
    pid = os.fork()
    if pid == 0:
        _become(words, environ, write_out, write_err, "" if terminal else typed, prepare)
    os.close(write_out)
    os.close(write_err)
    said = {read_out: b"", read_err: b""}
    try:
        _watch(pid, said, typed if terminal else "", until, meanwhile)
    finally:
        for descriptor in said:
            os.close(descriptor)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return Ran(code, *(text.decode() for text in said.values()))


def _watch(
    pid: int,
    said: dict[int, bytes],
    typed: str,
    until: str,
    meanwhile: Callable[[str], object] | None,
) -> None:
    """Read to the end of both; kill it, if that does not come."""
    first, *_ = said
    open_ends = set(said)
    deadline = time.monotonic() + PATIENCE
    while open_ends:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"it does not end: {said}")
        for end in select.select(list(open_ends), [], [], BETWEEN)[0]:
            try:
                data = os.read(end, 1 << 16)
            except OSError:  # EIO: a terminal that nothing has open any more
                data = b""
            said[end] += data
            if not data:
                open_ends.discard(end)
        if typed and any(text.endswith(b": ") for text in said.values()):
            os.write(first, typed.encode() + b"\n")
            typed = ""
        if until and until.encode() in said[first]:
            os.kill(pid, signal.SIGINT)
            until = ""
        if meanwhile is not None and open_ends:
            meanwhile(said[first].decode(errors="replace"))


def _become(
    words: Sequence[str],
    environ: Mapping[str, str],
    out: int,
    err: int,
    typed: str,
    prepare: Callable[[], None] | None,
) -> None:
    """Be `clove`, with these streams."""
    code = 70
    try:
        _take_streams(out, err, typed)
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(environ["HOME"])
        sys.argv[0] = "clove"
        signal.set_wakeup_fd(-1)  # that of the tests' reactor
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if prepare is not None:
            prepare()
        try:
            main(list(words), prog_name="clove")
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _take_streams(out: int, err: int, typed: str) -> None:
    """@param typed: what standard input has, where that is no terminal."""
    os.setsid()
    if os.isatty(out):
        fcntl.ioctl(out, termios.TIOCSCTTY, 0)
        os.dup2(out, 0)
    else:
        given = os.memfd_create("typed")
        os.write(given, typed.encode())
        os.lseek(given, 0, os.SEEK_SET)
        os.dup2(given if typed else os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, 1 << 10)
    streams = ((0, "r"), (1, "w"), (2, "w"))
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8")  # noqa: SIM115
        for number, mode in streams
    )


def _terminal() -> tuple[int, int]:
    outer, inner = os.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    return outer, inner


def _shown(text: str) -> str:
    return SCREEN.sub("", STYLE.sub("", text)).replace("\r\n", "\n")
