"""The user's terminal while a program has it: `clove run -it`, `attach`, `exec -it`.

What is typed goes to the program as bytes, what the program writes is shown as far as
L{ScreenFilter} lets it. Output has a thread of its own, so that keys reach a program whose
output the terminal is slow to show.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from typing import Final

from clove.cli.detach_keys import DetachKeys
from clove.cli.screen_filter import ScreenFilter

__all__ = ["RawTerminal"]

_PIECE: Final = 1 << 16
_STATUS: Final = b"\x1b[5n"
_ANSWER: Final = b"\x1b[0n"
_PATIENCE: Final = 1.0
"""Seconds that a terminal may take to answer: one behind a slow link, twice the way."""


class RawTerminal:
    """@param source: descriptor of what is typed.
    @param screen: descriptor of what is shown.
    """

    def __init__(self, source: int = 0, screen: int = 1) -> None:
        self._source = source
        self._screen = screen
        self._filter = ScreenFilter()

    def size(self) -> tuple[int, int]:
        """Rows and columns; what a terminal does not know is as it was for a VT100.

        @raise OSError: it is no terminal.
        """
        columns, rows = os.get_terminal_size(self._screen)
        return rows or 24, columns or 80

    def relay(
        self,
        output: int,
        typed: int,
        keys: DetachKeys,
        resize: Callable[[int, int], object],
    ) -> None:
        """Pass bytes both ways until the program's output ends or the keys are pressed.

        @param output: what the program writes: a descriptor to be read.
        @param typed: what it reads: one to be written, which is made non-blocking.
        @param resize: is told rows and columns when they change, and at first.
        """
        os.set_blocking(typed, False)
        with self._raw(), _waking() as (woken, waker):
            shown = threading.Thread(target=self._show, args=(output, waker, keys), daemon=True)
            shown.start()
            self._type(typed, woken, keys, resize)
            if not keys.pressed:
                shown.join()

    def _show(self, output: int, waker: int, keys: DetachKeys) -> None:
        """The thread that shows. After the keys the screen is the user's again."""
        with contextlib.suppress(OSError):  # the user's terminal, or the connection, is gone
            while (data := os.read(output, _PIECE)) and not keys.pressed:
                _write_all(self._screen, self._filter.feed(data))
        if not keys.pressed:
            os.write(waker, b"e")

    def _type(
        self, typed: int, woken: int, keys: DetachKeys, resize: Callable[[int, int], object]
    ) -> None:
        waiting = b""
        resize(*self.size())
        while not keys.pressed:
            poll = select.poll()
            poll.register(woken, select.POLLIN)
            if len(waiting) < _PIECE:
                poll.register(self._source, select.POLLIN)
            if waiting:
                poll.register(typed, select.POLLOUT)
            ready = {descriptor for descriptor, _ in poll.poll()}
            if woken in ready:
                events = os.read(woken, 100)
                if b"e" in events:
                    return
                resize(*self.size())
            if self._source in ready:
                data = os.read(self._source, _PIECE)
                if not data:  # the terminal is gone, as by SIGHUP
                    return
                waiting += keys.feed(data)
            waiting = _write_some(typed, waiting)

    @contextlib.contextmanager
    def _raw(self) -> Iterator[None]:
        """Keys as bytes; afterwards all as it was before."""
        before = termios.tcgetattr(self._source)
        tty.setraw(self._source, termios.TCSADRAIN)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                _write_all(self._screen, self._filter.reset() + _STATUS)
                self._drop_answers()
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._source, termios.TCSAFLUSH, before)

    def _drop_answers(self) -> None:
        """What the terminal types as answers to the program: else the shell would read it."""
        end = time.monotonic() + _PATIENCE
        seen = b""
        while _ANSWER not in seen and (left := end - time.monotonic()) > 0:
            if select.select([self._source], [], [], left)[0]:
                data = os.read(self._source, _PIECE)
                if not data:
                    return
                seen = seen[-len(_ANSWER) :] + data


@contextlib.contextmanager
def _waking() -> Iterator[tuple[int, int]]:
    """A pipe that is written to when the window changes."""
    woken, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def changed(*_: object) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(waker, b"w")

    before = signal.signal(signal.SIGWINCH, changed)
    try:
        yield woken, waker
    finally:
        signal.signal(signal.SIGWINCH, before)
        os.close(woken)
        os.close(waker)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _write_some(descriptor: int, data: bytes) -> bytes:
    """Write as much as is accepted; gives the rest. Without a reader it is dropped."""
    try:
        return data[os.write(descriptor, data) :] if data else data
    except BlockingIOError:
        return data
    except OSError:
        return b""
