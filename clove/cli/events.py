"""`clove events`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from time import monotonic
from typing import Any

import click

from clove.cli.agents import agent_id
from clove.cli.console import Console, command_options
from clove.cli.target import AGENT
from clove.cli.text import clean, facts

__all__ = ["events"]


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
        client.subscribe(
            [each.upper() for each in types], all=True if not types else None, push=True
        )
        shown = 0
        try:
            while count is None or shown < count:
                left = None if deadline is None else deadline - monotonic()
                event = None if left is not None and left <= 0 else client.next_event(left)
                if event is None:
                    return
                if source in (None, event.get("source_agent_id")):
                    shown += 1
                    _show(console, event)
        except KeyboardInterrupt:
            return


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
