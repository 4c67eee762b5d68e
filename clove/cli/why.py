"""`clove why`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click

from clove.cli.agents import agent_id
from clove.cli.console import Console, command_options
from clove.cli.text import clean
from clove.framing import Opcode
from clove.spelling import guess

__all__ = ["arguments", "why"]

WHERE: Final = "CONNECT takes HOST:PORT, the port from 1 to 65535"
WITH_ARGUMENTS: Final = ("READ", "WRITE", "EXEC", "HTTP", "CONNECT")
FLAGS: Final = ("--json", "--words")
VALUED: Final = ("--context", "--socket")
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@click.command(
    epilog="""\b
Examples:
  clove why READ /etc/shadow              what may this user do?
  clove why agent READ /data/notes        ... an agent, by name or id?
  clove why agent WRITE /data/out/new
  clove why agent EXEC 'git push'         a line for the shell
  clove why agent EXEC git push           a program and its arguments
  clove why agent HTTP https://api.example.com/
  clove why agent CONNECT api.example.com:5432

Options stand anywhere; behind EXEC or -- they belong to the question.

\b
The answer has
  policy   what the permissions say, and the rule that decides
  attempt  what happened when it was tried
  agree    whether the two do, and if not, why and what to do

Exit codes: 0 for an answer, whatever it is (`allowed` and `agrees` of --json); 1 for
an error; 2 for a wrong command line.
""",
    context_settings={"allow_interspersed_args": False},
)
@click.option("--words", is_flag=True, help="Ask policy alone; try nothing.")
@click.argument("asked", metavar="[AGENT] SYSCALL [ARGUMENT]...", nargs=-1, required=True)
@command_options
def why(console: Console, words: bool, asked: tuple[str, ...]) -> None:
    """Say whether a syscall would be allowed, by which rule, and try it.

    It is tried in a throw-away sandbox with the agent's own profile, to no
    lasting effect: a file is opened, a program is executed and killed at its
    first step, a host is connected to. The first word is an agent unless it is a
    syscall's name and no other follows. Without an agent, it is about the caller.
    """
    asked, behind = _own_options(asked)
    console.as_json = console.as_json or "--json" in behind
    console.context = behind.get("--context", console.context)
    console.socket = behind.get("--socket", console.socket)
    words = words or "--words" in behind
    agent, syscall, rest = _parted(asked)
    fields = arguments(syscall, rest)
    with console.client() as client:
        target = None if agent is None else agent_id(client, agent, ended=False)
        reply = client.why(syscall, fields, target, attempt=False if words else None)
    if console.as_json:
        console.data(reply)
    else:
        _show(console, reply)


def _own_options(asked: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The question, and our options that stand behind its first word; a program's are the program's.

    @raise UsageError: one has no value.
    """
    if "--" in asked or any(word.upper() == "EXEC" for word in asked[:2]):
        return asked, {}
    question, options = [asked[0]], {}
    rest = iter(asked[1:])
    for word in rest:
        name, equals, value = word.partition("=")
        if word in FLAGS:
            options[word] = "yes"
        elif name in VALUED:
            options[name] = value if equals else next(rest, "")
            if not options[name]:
                raise click.UsageError(f"Option '{name}' requires an argument.")
        else:
            question.append(word)
    return tuple(question), options


def _is_syscall(word: str) -> bool:
    return word.upper() in Opcode.__members__ or word.upper() == "CONNECT"


def _parted(asked: tuple[str, ...]) -> tuple[str | None, str, tuple[str, ...]]:
    """Agent, syscall and the rest, which may begin with two dashes.

    @raise UsageError: there is no syscall.
    """
    first, second = asked[0].upper(), "".join(asked[1:2])
    both = first not in WITH_ARGUMENTS and _is_syscall(second)  # an agent may be called hello
    named = both or not _is_syscall(first)
    agent, words = (asked[0], asked[1:]) if named else (None, asked)
    if not words or not _is_syscall(words[0]):
        raise click.UsageError(_which(asked))
    rest = words[2:] if words[1:2] == ("--",) else words[1:]
    return agent, words[0].upper(), rest


def _which(asked: Sequence[str]) -> str:
    """What to say where there is no syscall: the one that a word is near, the second if that is a name at all."""
    second = "".join(asked[1:2])
    word = second if second.replace("_", "").isalpha() else asked[0]
    if close := guess(word, (*Opcode.__members__, "CONNECT")):
        return f"no syscall {word!r}: did you mean {close}?"
    return "which syscall? READ, WRITE, EXEC, HTTP, CONNECT, THINK, SPAWN ..."


def arguments(syscall: str, words: Sequence[str]) -> dict[str, Any]:
    """The request that words of a command line stand for.

    @raise UsageError: there are too many or too few of them.
    """
    known: dict[str, Callable[[Sequence[str]], dict[str, Any]]] = {
        "READ": lambda given: {"path": _only(given, "READ takes a path")},
        "WRITE": lambda given: {"path": _only(given, "WRITE takes a path")},
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
        raise click.UsageError(what)
    return words[0]


def _command(words: Sequence[str]) -> dict[str, Any]:
    if not words:
        raise click.UsageError("EXEC takes a command")
    return {"command": words[0] if len(words) == 1 else list(words)}


def _request(words: Sequence[str]) -> dict[str, Any]:
    if len(words) == 2 and words[0].upper() in METHODS:
        return {"method": words[0].upper(), "url": words[1]}
    return {"url": _only(words, "HTTP takes a URL, perhaps after a method")}


def _connection(words: Sequence[str]) -> dict[str, Any]:
    host, _, port = _only(words, WHERE).rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port[:9]) < 1 << 16):
        raise click.UsageError(WHERE)
    return {"host": host.removeprefix("[").removesuffix("]"), "port": int(port)}


def _show(console: Console, reply: Mapping[str, Any]) -> None:
    parts = [
        ("policy", [_verdict(reply), reply.get("hint", "")]),
        ("attempt", _attempted(reply.get("attempt") or {})),
        *_conclusion(reply.get("agrees"), reply.get("note", "")),
    ]
    for label, texts in parts:
        for text in filter(None, texts):
            console.entry(clean(f"{label:<9}{text}"), indent=9)
            label = ""


def _verdict(reply: Mapping[str, Any]) -> str:
    """Allowed or refused, and by which rule."""
    rule = str(reply.get("rule", ""))
    if not reply.get("allowed"):
        return f"refused ({rule})"
    none_matches = ", none of which matches" if rule.startswith("blocked_") else ""
    return f"allowed ({rule}{none_matches})"


def _attempted(attempt: Mapping[str, Any]) -> list[str]:
    """What was tried and what happened; nothing without an attempt."""
    if not attempt:
        return []
    tried = f": {attempt['tried']}" if attempt.get("tried") else ""
    happened = str(attempt.get("happened", ""))
    if attempt.get("reliable") is False and happened in ("succeeded", "failed"):
        happened = f"said to have {happened}"
    error = str(attempt.get("error", ""))
    if attempt.get("errno_name"):
        error = f"{error} ({attempt['errno_name']})"
    return [f"{happened}{tried}", error, str(attempt.get("detail", ""))]


def _conclusion(agrees: bool | None, note: str) -> list[tuple[str, list[str]]]:
    """Whether the two agree, where that is known."""
    if agrees is None:
        return [("note", [note])]
    return [("agree", ["yes" if agrees else "no" + (f": {note}" if note else "")])]
