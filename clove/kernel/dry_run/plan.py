"""From a syscall and its arguments to a dry run that leaves nothing behind. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from clove.policy import parse_url
from clove.policy.shell import Unreadable, simple_commands

__all__ = ["Plan", "plan_for"]

SHELL: Final = "/bin/sh"
_OWN: Final = """
. : [ { ( alias bg break case cd command continue echo eval exec exit export false fg for getopts
hash if jobs kill printf pwd read readonly return set shift test times trap true type ulimit umask
unalias unset until wait while
"""
WITHIN_THE_SHELL: Final = frozenset(_OWN.split())
"""First words of a command that the shell carries out itself (POSIX.1, XCU 2)."""
SHOWN: Final = 200


class Plan(NamedTuple):
    """A dry run that is to be made, or why there is none.

    @ivar tried: what is tried, in words; empty if nothing is.
    @ivar instructions: what `dry_run.py` gets.
    @ivar reason: why nothing is tried.
    @ivar host: it is about a connection.
    """

    tried: str = ""
    instructions: Mapping[str, Any] = {}
    reason: str = ""
    host: str = ""


def plan_for(syscall: str, arguments: Mapping[str, Any]) -> Plan:
    """What to try for a syscall; the table of syscalls has checked its arguments."""
    if any("\0" in text for text in _texts(arguments)):
        return Plan(reason="a NUL ends every name: there is nothing to try")
    if syscall in ("READ", "WRITE"):
        path = str(arguments["path"])
        what = "reading" if syscall == "READ" else "writing"
        append = arguments.get("mode") == "append"
        instructions = {"what": syscall, "path": path, "append": append}
        return Plan(f"open {_short(path)} for {what}", instructions)
    if syscall == "EXEC":
        return _program(arguments)
    if syscall == "CONNECT":
        return _host(str(arguments["host"]), int(arguments["port"]))
    if syscall == "HTTP":
        target = parse_url(str(arguments["url"]))
        if not target.host:
            return Plan(reason=f"no host is reached by {target.scheme[:32]}")
        return _host(target.host, target.port)
    return Plan(reason=f"{syscall} is the kernel's own business: there is nothing to try")


def _texts(arguments: Mapping[str, Any]) -> list[str]:
    """The texts that name something."""
    command = arguments.get("command")
    words = command if isinstance(command, list) else [command]
    named = (*words, arguments.get("path"), arguments.get("cwd"))
    return [each for each in named if isinstance(each, str)]


def _host(host: str, port: int) -> Plan:
    instructions = {"what": "CONNECT", "host": host, "port": port}
    return Plan(f"connect to {host}:{port}", instructions, host=host)


def _program(arguments: Mapping[str, Any]) -> Plan:
    """The first program that a command starts."""
    command = arguments["command"]
    shell = isinstance(command, str)
    if not command or not command[0]:
        return Plan(reason="the command is empty")
    if len(command if shell else command[0]) > 16384:
        return Plan(reason="the command is too long to be tried")
    program = _first(command) if shell else str(command[0])
    directory = arguments.get("cwd")
    instructions = {
        "what": "EXEC",
        "program": program,
        "shell": shell,
        "cwd": directory if isinstance(directory, str) and directory else ".",
    }
    return Plan(f"execute {_short(program)}", instructions)


def _first(line: str) -> str:
    """The program that a line for the shell starts first, as far as that can be read."""
    try:
        commands = simple_commands(line)
    except Unreadable:
        return SHELL
    for words in commands:
        for word in words:
            name, equals, _ = word.partition("=")
            if equals and name.isidentifier():
                continue
            computed = any(mark in word for mark in "$*?[{~")
            return SHELL if computed or word in WITHIN_THE_SHELL else word
    return SHELL


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
