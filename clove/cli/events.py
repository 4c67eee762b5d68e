"""`clove events`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import click

from clove.cli.agents import agent_id
from clove.cli.console import Console, command_options
from clove.cli.target import AGENT
from clove.cli.text import clean, facts
from clove.errors import ConnectionLost, Unavailable

if TYPE_CHECKING:
    from clove.client.blocking import CloveClient

__all__ = ["events"]

_PATIENCE = 60.0
"""Seconds in which a kernel that was lost is to be reached again through its relay."""
_PAUSE = 0.5


@click.command(
    epilog="""\b
Examples:
  clove events                              what happens from now on
  clove events AGENT_EXITED agent_spawned   of these types alone
  clove events --agent researcher           about one agent
  clove events --json -n 1 AGENT_EXITED     wait for the next one

\b
Types: AGENT_SPAWNED, AGENT_EXITED, AGENT_RESTARTING, AGENT_ESCALATED, AGENT_PAUSED,
AGENT_RESUMED, MESSAGE_RECEIVED, STATE_CHANGED, SYSCALL_BLOCKED, RESOURCE_WARNING, CUSTOM
(what agents emit). What was done before is in `clove audit`."""
)
@click.argument("types", metavar="[TYPE]...", nargs=-1)
@click.option("--agent", type=AGENT, help="Only what this agent (name or id) is the source of.")
@click.option("-n", "--count", type=click.IntRange(min=1), help="End after so many.")
@click.option("--timeout", type=click.FloatRange(min=0), help="End after so many seconds.")
@command_options
def events(
    console: Console,
    types: tuple[str, ...],
    agent: str | None,
    count: int | None,
    timeout: float | None,
) -> None:
    """Follow what happens in the kernel, until Ctrl-C."""
    deadline = None if timeout is None else monotonic() + timeout
    with console.client() as client:
        source = None if agent is None else agent_id(client, agent)
        following = Following(console, client, [each.upper() for each in types])
        following.subscribe()
        shown = 0
        try:
            while count is None or shown < count:
                left = None if deadline is None else deadline - monotonic()
                event = None if left is not None and left <= 0 else following.next(left)
                if event is None:
                    return
                if source in (None, event.get("source_agent_id")):
                    shown += 1
                    _show(console, event)
        except KeyboardInterrupt:
            return


class Following:
    """The events of a kernel; of one behind a relay also after its connection was lost.

    @param types: which; none: all.
    """

    def __init__(self, console: Console, client: CloveClient, types: list[str]) -> None:
        self._console = console
        self._client = client
        self._types = types

    def subscribe(self) -> None:
        """Have events from now on."""
        self._client.subscribe(self._types, all=None if self._types else True, push=True)

    def next(self, patience: float | None) -> Mapping[str, Any] | None:
        """The next one; None: none came in time.

        @param patience: seconds.
        @raise ConnectionLost: the connection is; programs are told so at once, since they may not miss any.
        """
        end = None if patience is None else monotonic() + patience
        while True:
            try:
                left = None if end is None else max(0.0, end - monotonic())
                return self._client.next_event(left)
            except ConnectionLost as error:
                if self._console.remote is None or self._console.as_json:
                    raise
                self._console.remark(f"{error.message}; events until it is back are not shown")
                self._subscribe_again(end)
                self._console.remark("it is back: events are shown again")

    def _subscribe_again(self, end: float | None) -> None:
        latest = monotonic() + _PATIENCE
        latest = latest if end is None else min(latest, end)
        while True:
            try:
                return self.subscribe()
            except (ConnectionLost, Unavailable):
                if monotonic() + _PAUSE > latest:
                    raise
                sleep(_PAUSE)


def _show(console: Console, event: Mapping[str, Any]) -> None:
    if console.as_json:
        console.data(dict(event))
        return
    data = event.get("data")
    values = dict(data) if isinstance(data, dict) else {"data": data}
    source = f"{values.pop('agent_name', '') or '-'} ({event.get('source_agent_id', 0)})"
    when = datetime.fromtimestamp(event["timestamp"]).strftime("%H:%M:%S.%f")[:-3]
    line = f"{when}  {event['type']:<17} {source:<24} {facts(values)}"
    console.entry(clean(line.rstrip()))
