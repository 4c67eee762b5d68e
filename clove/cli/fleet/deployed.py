"""An agent on a machine of a relay, in the foreground: its output is ours, Ctrl-C ends it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from clove.cli.ends import report_end
from clove.cli.sinks import sinks
from clove.cli.text import counted
from clove.errors import CloveError

if TYPE_CHECKING:
    from clove.cli.console import Console
    from clove.client.fleet import FleetClient

__all__ = ["Deployed", "announce"]

_TOLD = ("paused", "restarting", "escalated")
"""States of which a word is said."""
_SENT = 1.0
"""Seconds for a request to be sent, on a busy machine too."""


class Deployed:
    """One agent that was just started.

    @param made: what the relay has answered.
    """

    def __init__(self, console: Console, fleet: FleetClient, made: dict[str, Any]) -> None:
        self._console = console
        self._fleet = fleet
        self._machine: str = made["machine_id"]
        self._agent: int = made["agent_id"]
        self._interrupted = False
        self._stopped = threading.Event()
        announce(console, made)

    def attend(self) -> int:
        """Pass on its output until it has ended; gives the exit code for us.

        The first interrupt (SIGINT or SIGTERM) ends the agent, and what it still writes is shown; a second
        one leaves that to the relay.
        """
        try:
            with self._interrupts():
                return self._follow()
        except BrokenPipeError:  # nothing reads our output: so it is for the agent
            self._stop()
            raise
        except KeyboardInterrupt:
            self._stopped.wait(_SENT)
            again = f"clove agent logs -f {self._agent} --machine {self._machine}"
            self._console.remark(f"detached: the agent is being ended; {again} shows the rest")
            return 128 + signal.SIGINT

    def _follow(self) -> int:
        targets = sinks(self._console)
        for kind, fields in self._fleet.stream(self._machine, self._agent, attach=True):
            if kind == "output":
                targets[fields["stream"]].write(fields["data"])
            elif kind == "exit":
                for target in targets.values():
                    target.finish()
                return report_end(self._console, fields)  # type: ignore[arg-type] # of it what is read
            elif kind == "lost":
                self._console.remark(f"lost: {counted(fields['bytes'], 'byte')} of its output")
            elif fields.get("state") in _TOLD:
                self._console.remark(f"the agent is {fields['state']}")
        return 1

    @contextlib.contextmanager
    def _interrupts(self) -> Iterator[None]:
        """End the agent at the first interrupt, and ourselves at the second."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._interrupt) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _interrupt(self, _number: int, _frame: object) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True
        threading.Thread(target=self._end, daemon=True).start()  # a line may be half written here

    def _end(self) -> None:
        self._console.remark("interrupted: ending the agent")
        self._stop()
        self._stopped.set()

    def _stop(self) -> None:
        try:
            self._fleet.stop_agent(self._machine, self._agent)
        except CloveError as error:
            self._console.error(error)


def announce(console: Console, made: dict[str, Any]) -> None:
    """Say what was started, and where.

    @param made: what the relay has answered.
    """
    if console.as_json:
        console.data({"event": "spawned", **made})
    else:
        console.remark(f"agent {made['agent_id']} ({made['agent_name']}) on {made['machine_id']}")
