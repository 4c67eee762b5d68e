"""`clove inspect`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from clove.cli.agents import ending
from clove.cli.console import Console, command_options
from clove.cli.ps import shown_parent
from clove.cli.published_ports import shown_ports
from clove.cli.target import AGENT, name_or_id
from clove.cli.text import age, clean, counted, size
from clove.errors import CloveError

__all__ = ["inspect"]


@click.command(
    epilog="""\b
Examples:
  clove inspect researcher
  clove inspect --json researcher | jq .limits
"""
)
@click.argument("agents", metavar="AGENT...", nargs=-1, required=True, type=AGENT)
@command_options
@click.pass_context
def inspect(ctx: click.Context, console: Console, agents: tuple[str, ...]) -> None:
    """Show all that is known of agents, also of ended ones.

    Values of environment variables are never shown: they may be secrets.
    """
    failed = False
    with console.client() as client:
        for number, agent in enumerate(agents):
            try:
                reply = client.inspect(name_or_id(client, agent))
            except CloveError as error:
                console.error(error)
                failed = True
                continue
            if console.as_json:
                console.data(reply)
                continue
            if number:
                console.line("")
            lines = list(_lines(reply))
            width = max(len(label) for label, _ in lines)
            for label, text in lines:
                console.entry(clean(f"{label:<{width}} {text}".rstrip()), indent=width + 1)
    if failed:
        ctx.exit(1)


def _lines(reply: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Labels and texts, in the order in which one reads them; what is empty is left out."""
    agent = reply["agent"]
    yield "name", f"{agent['name']} (id {agent['id']})"
    yield "state", _state(agent)
    yield from _program(reply)
    yield "parent", " < ".join(dict.fromkeys(map(shown_parent, reply["ancestors"]))) or "-"
    yield "restart", _restarts(reply)
    if reply["timeout"]:
        yield "timeout", age(reply["timeout"] * 1000)
    limits = reply["limits"]
    if limits:
        yield "memory", size(limits["memory"])
        yield "processes", str(limits["max_pids"])
        yield "cpus", f"{limits['cpu_quota'] / limits['cpu_period']:g}"
        if "disk" in limits:
            yield "disk", f"{size(limits['disk'])}, {reply['isolation'].get('disk', 'not held')}"
    yield "sandbox", _sandbox(reply)
    yield "network", "yes" if reply["network"] else "no"
    if agent.get("published"):
        yield "published", shown_ports(agent["published"])
    yield from _permissions(reply["permissions"])
    if reply["cgroup"]:
        yield "cgroup", reply["cgroup"]


def _state(agent: Mapping[str, Any]) -> str:
    if "ended" in agent:
        return f"{agent['state']}: {ending(agent['ended'])}"
    pid = f", pid {agent['pid']}" if agent["pid"] else ""
    return f"{agent['state']} for {age(agent['uptime_ms'])}{pid}"


def _program(reply: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    agent = reply["agent"]
    if agent.get("command"):
        yield "command", agent["command"]
    for label in ("python", "cwd"):
        if reply[label]:
            yield label, reply[label]
    if reply["mounts"]:
        yield "dirs", ", ".join(map(_grant, reply["mounts"]))
    if reply["env"]:
        yield "env", ", ".join(reply["env"])
    if reply["secrets"]:
        yield "secrets", ", ".join(reply["secrets"])
    if agent.get("labels"):
        yield "labels", ", ".join(f"{name}={value}" for name, value in agent["labels"].items())


def _grant(mount: Mapping[str, Any]) -> str:
    """As --dir takes it."""
    mode = "" if mount["writable"] else ":ro"
    return f"{mount['path']}{mode}" + (f":{mount['as']}" if mount.get("as") else "")


def _restarts(reply: Mapping[str, Any]) -> str:
    policy = str(reply["restart_policy"])
    most = "" if policy == "never" else f", {counted(reply['max_restarts'], 'time')} at most"
    return f"{policy}{most}; {reply['agent']['restarts']} so far"


def _sandbox(reply: Mapping[str, Any]) -> str:
    isolation = reply["isolation"]
    if not reply["sandboxed"]:
        return "none"
    if isolation.get("fully_isolated"):
        return "yes" + (", warm" if reply["warm"] else "")
    return f"incomplete: {isolation.get('degraded_reason') or 'it has not run'}"


def _permissions(permissions: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "level", str(permissions.get("level", ""))
    may = [flag.removeprefix("can_") for flag, on in permissions.items() if on is True]
    yield "may", ", ".join(may) or "nothing"
    for name, value in permissions.items():
        if isinstance(value, list) and value:
            label = name.replace("_", " ")
            yield label, ", ".join(map(str, value))
