"""`clove why`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from clove.cli.console import Console, command_options
from clove.cli.text import clean
from clove.errors import NotFound
from clove.framing import Opcode

if TYPE_CHECKING:
    from clove.client.blocking import CloveClient

__all__ = ["arguments", "why"]

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@click.command(
    epilog="""\b
Examples:
  clove why READ /etc/shadow              what may this user do?
  clove why agent READ /data/notes        ... an agent, by name or id?
  clove why agent WRITE /data/out/new
  clove why agent EXEC 'git push'         a line for the shell
  clove why agent HTTP https://api.example.com/
  clove why agent CONNECT api.example.com:5432
""",
    context_settings={"ignore_unknown_options": True},
)
@click.option("--words", is_flag=True, help="Ask policy alone; try nothing.")
@click.argument("asked", metavar="[AGENT] SYSCALL [ARGUMENT]...", nargs=-1, required=True)
@command_options
def why(console: Console, words: bool, asked: tuple[str, ...]) -> None:
    """Say whether a syscall would be allowed, by which rule, and try it.

    It is tried in a throw-away sandbox with the agent's own profile, to no
    lasting effect: a file is opened, a program is executed and killed at its
    first step, a host is connected to. The first word is an agent unless it is a
    syscall's name. Without one, it is about whoever asks.
    """
    agent, syscall, rest = _parted(asked)
    fields = arguments(syscall, rest)
    with console.client() as client:
        agent_id = None if agent is None else _id(client, agent)
        reply = client.why(syscall, fields, agent_id, attempt=False if words else None)
    if console.as_json:
        console.data(reply)
    else:
        _show(console, reply)


def _is_syscall(word: str) -> bool:
    return word.upper() in Opcode.__members__ or word.upper() == "CONNECT"


def _parted(asked: Sequence[str]) -> tuple[str | None, str, Sequence[str]]:
    """Agent, syscall and the rest.

    @raise UsageError: there is no syscall.
    """
    if _is_syscall(asked[0]):
        return None, asked[0].upper(), asked[1:]
    if len(asked) > 1 and _is_syscall(asked[1]):
        return asked[0], asked[1].upper(), asked[2:]
    raise click.UsageError("which syscall? READ, WRITE, EXEC, HTTP, CONNECT, THINK, SPAWN ...")


def arguments(syscall: str, words: Sequence[str]) -> dict[str, Any]:
    """The request that words of a command line stand for.

    @raise UsageError: there are too many or too few of them.
    """
    known: dict[str, Callable[[Sequence[str]], dict[str, Any]]] = {
        "READ": lambda given: {"path": _only(given, "a path")},
        "WRITE": lambda given: {"path": _only(given, "a path")},
        "EXEC": _command,
        "HTTP": _request,
        "CONNECT": _connection,
    }
    if syscall in known:
        return known[syscall](words)
    if words:
        raise click.UsageError(f"{syscall} takes no arguments here")
    return {}


def _only(words: Sequence[str], what: str) -> str:
    if len(words) != 1:
        raise click.UsageError(f"it takes {what}")
    return words[0]


def _command(words: Sequence[str]) -> dict[str, Any]:
    if not words:
        raise click.UsageError("it takes a command")
    return {"command": words[0] if len(words) == 1 else list(words)}


def _request(words: Sequence[str]) -> dict[str, Any]:
    if len(words) == 2 and words[0].upper() in METHODS:
        return {"method": words[0].upper(), "url": words[1]}
    return {"url": _only(words, "a URL, perhaps after a method")}


def _connection(words: Sequence[str]) -> dict[str, Any]:
    host, _, port = _only(words, "HOST:PORT").rpartition(":")
    if not host or not (port.isascii() and port.isdigit()):
        raise click.UsageError("it takes HOST:PORT")
    return {"host": host.removeprefix("[").removesuffix("]"), "port": int(port)}


def _id(client: CloveClient, agent: str) -> int:
    """An agent's id, from its name or its digits."""
    if agent.isascii() and agent.isdigit():
        return int(agent)
    for entry in client.list_agents():
        if entry.get("name") == agent:
            return int(entry["id"])
    raise NotFound(f"no agent with name {agent!r}", hint="LIST (clove ps) shows the agents")


def _show(console: Console, reply: dict[str, Any]) -> None:
    verdict = "allowed" if reply.get("allowed") else "refused"
    lines = [f"policy   {verdict} ({reply.get('rule', '')})"]
    if reply.get("hint"):
        lines.append(f"         {reply['hint']}")
    attempt = reply.get("attempt") or {}
    if attempt:
        what = f": {attempt['tried']}" if attempt.get("tried") else ""
        lines.append(f"attempt  {attempt.get('happened', '')}{what}")
        error = attempt.get("error", "")
        if attempt.get("errno_name"):
            error = f"{error} ({attempt['errno_name']})"
        lines += [f"         {text}" for text in (error, attempt.get("detail", "")) if text]
    if reply.get("note"):
        lines.append(f"note     {reply['note']}")
    for line in lines:
        console.line(clean(line))
