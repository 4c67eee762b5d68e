"""An agent that runs on a terminal, shown on ours: `clove run -t` and `clove attach`."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from clove.cli.detach_keys import DetachKeys, parse
from clove.cli.raw_terminal import RawTerminal
from clove.errors import CloveError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clove.cli.console import Console
    from clove.client.blocking import CloveClient

__all__ = ["ShownAgent", "terminal_environment", "terminal_size"]

_KNOWN = ("TERM", "COLORTERM")
"""Variables that tell a program what its terminal can do."""


def terminal_environment() -> dict[str, str]:
    """What a program is to know of our terminal."""
    return {name: os.environ[name] for name in _KNOWN if name in os.environ}


def terminal_size() -> dict[str, int]:
    """Ours, as SPAWN and RUN take it."""
    rows, columns = RawTerminal().size()
    return {"rows": rows, "columns": columns}


class ShownAgent:
    """@param agent: its name or id.
    @param name: as it is shown to people.
    @param detach_keys: see L{clove.cli.detach_keys.parse}.
    """

    def __init__(
        self,
        console: Console,
        client: CloveClient,
        agent: str | int,
        name: str,
        detach_keys: str,
    ) -> None:
        """@raise InvalidRequest: there are no such keys."""
        self._console = console
        self._client = client
        self._agent = agent
        self._name = name
        self._keys = DetachKeys(parse(detach_keys), lambda: client.is_down)

    def fit(self) -> None:
        """Give its terminal the size of ours.

        @raise Unavailable: it runs on no terminal.
        """
        self._client.resize_terminal(*RawTerminal().size(), self._agent)

    def show(self, *, anew: bool = False) -> bool:
        """Show it until it has ended, or the keys are pressed: then false.

        @param anew: have it draw all again, by another size and then ours.

        @raise AlreadyExists: another is attached.
        @raise ConnectionLost: it may run, and is not shown any more.
        @raise KeyboardInterrupt: Ctrl-C was pressed while a relay that leads there was away.
        """
        terminal = RawTerminal()
        with self._client.attach(self._agent) as attached:
            ends = attached.descriptors
            if anew:
                rows, columns = terminal.size()
                self._resize(rows, columns + 1)
            with _input_of(ends) as typed:
                terminal.relay(ends["stdout"], typed, self._keys, self._resize)
            if not self._keys.pressed:
                for name in list(ends):
                    attached.close_stream(name)
                attached.finish()
        if self._keys.pressed:
            self._console.remark(f"detached; `clove attach {self._name}` comes back to it")
        if self._keys.interrupted:
            raise KeyboardInterrupt
        return not self._keys.pressed

    def _resize(self, rows: int, columns: int) -> None:
        try:
            self._client.resize_terminal(rows, columns, self._agent)
        except Unavailable:  # it is between two starts
            return
        except CloveError:  # it has just ended
            return


@contextlib.contextmanager
def _input_of(ends: Mapping[str, int]) -> Iterator[int]:
    """Where to write what is typed; for an agent that has ended already, which has no input, nowhere."""
    if "stdin" in ends:
        yield ends["stdin"]
        return
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        yield nowhere
    finally:
        os.close(nowhere)
