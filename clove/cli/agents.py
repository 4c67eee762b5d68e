"""What several subcommands do with the agents that they are given."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from clove.cli.target import name_or_id
from clove.cli.text import age, size
from clove.errors import CloveError, NotFound
from clove.spelling import guess

if TYPE_CHECKING:
    from clove.cli.console import Console
    from clove.client.blocking import CloveClient

__all__ = ["act_on_each", "agent_id", "ending", "seconds_option", "signal_name"]

LIMITS = {"memory": "memory limit", "max_pids": "limit of processes", "disk": "disk limit"}


def act_on_each(
    console: Console,
    agents: Iterable[str],
    act: Callable[[CloveClient, str | int], Mapping[str, Any]],
    told: Callable[[str, Mapping[str, Any]], str],
) -> None:
    """Do something to each agent; an error of one is told, the others are done, and we end with 1.

    @param act: gives the kernel's answer.
    @param told: the line for people about one that was done, of what was typed and the answer.
    """
    well = True
    with console.client() as client:
        for agent in agents:
            try:
                reply = act(client, name_or_id(client, agent))
            except CloveError as error:
                console.error(error)
                well = False
                continue
            if console.as_json:
                console.data(dict(reply))
            else:
                console.line(told(agent, reply))
    if not well:
        click.get_current_context().exit(1)


def agent_id(client: CloveClient, text: str, *, ended: bool = True) -> int:
    """The id of an agent from its name or its digits; the latest of a name.

    @param ended: of those that have ended as well.
    @raise NotFound: no agent has the name.
    """
    entries = client.list_agents(all=ended or None)
    found = [entry for entry in entries if entry.get("name") == text]
    if found:
        return int(found[-1]["id"])
    if text.isascii() and text.isdigit():
        return int(text)
    close = guess(text, tuple(str(entry.get("name", "")) for entry in entries))
    hint = (
        f"did you mean {close}?" if close else f"clove ps{' -a' if ended else ''} shows the agents"
    )
    raise NotFound(f"no agent with name {text!r}", hint=hint)


def ending(ended: Mapping[str, Any]) -> str:
    """How an agent ended, in a few words: `exit 7`, `SIGKILL, killed`, `SIGKILL, oom (...)`."""
    number, code = ended.get("signal"), ended.get("exit_code")
    parts = [signal_name(number) if number else f"exit {'?' if code is None else code}"]
    reason, limit = str(ended.get("reason") or ""), ended.get("limit")
    if limit:
        value = limit["value"]
        amount = size(value) if limit["name"] in ("memory", "disk") else str(value)
        parts.append(f"{reason} ({LIMITS.get(limit['name'], limit['name'])} {amount})")
    elif reason and reason != "exited":
        parts.append(reason)
    when = f" {age(ended['ms_ago'])} ago" if "ms_ago" in ended else ""
    return ", ".join(parts) + when


def signal_name(number: int) -> str:
    """`SIGTERM`, or `signal 40`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def seconds_option(name: str, help: str) -> Callable[[Any], Any]:
    """An option that takes seconds, or a span such as 2m."""
    from clove.cli.text import parse_duration

    def convert(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
        if value is None:
            return None
        try:
            return float(value)
        except ValueError:
            pass
        try:
            return parse_duration(value).total_seconds()
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None

    def checked(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
        seconds = convert(ctx, param, value)
        if seconds is not None and not 0 <= seconds <= 86400 * 365:
            raise click.BadParameter("it is from 0 s to 365 d", ctx, param)
        return seconds

    return click.option(name, metavar="SECONDS", callback=checked, help=help)
