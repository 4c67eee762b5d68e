"""What policy says to a request, judged by its words alone. Pure.

A line of the kernel's table of syscalls names the function here that decides for it; where
there is none, the permission flags that the line names decide alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clove.errors import InvalidRequest
from clove.policy.commands import check_command, check_main_program
from clove.policy.delegation import excesses, narrow
from clove.policy.domains import check_address, check_connection, check_url
from clove.policy.hosts import as_address, normalise_host
from clove.policy.levels import Level
from clove.policy.parsing import parse
from clove.policy.paths import check_read, check_write
from clove.policy.permissions import Decision, Permissions, check_flag

__all__ = [
    "Explain",
    "explain_connect",
    "explain_exec",
    "explain_http",
    "explain_read",
    "explain_spawn",
    "explain_write",
]

Explain = Callable[[Permissions, Mapping[str, Any], str | None], Decision]
"""The decision for permissions, a request's arguments, and what a relative path starts from (None
if that is not known). It raises InvalidRequest where the arguments make no sense."""


def explain_read(
    permissions: Permissions, arguments: Mapping[str, Any], cwd: str | None
) -> Decision:
    """Of READ: `path`."""
    return check_read(permissions, _path(arguments, cwd))


def explain_write(
    permissions: Permissions, arguments: Mapping[str, Any], cwd: str | None
) -> Decision:
    """Of WRITE: `path`."""
    return check_write(permissions, _path(arguments, cwd))


def explain_exec(permissions: Permissions, arguments: Mapping[str, Any], _: str | None) -> Decision:
    """Of EXEC: `command`, a line or a list of words."""
    command = arguments.get("command")
    if isinstance(command, list) and set(map(type, command)) <= {str}:
        return check_command(permissions, command)
    return check_command(permissions, _text(arguments, "command"))


def explain_http(permissions: Permissions, arguments: Mapping[str, Any], _: str | None) -> Decision:
    """Of HTTP: `url` and `method`."""
    method = _text(arguments, "method").upper() if "method" in arguments else "GET"
    decision, target = check_url(permissions, method, _text(arguments, "url"))
    if decision.allowed and target.address is not None:
        by_address = check_address(permissions, target.host, target.port, target.host)
        return decision if by_address.allowed else by_address
    return decision


def explain_connect(permissions: Permissions, arguments: Mapping[str, Any]) -> Decision:
    """Of a connection that a program makes itself, which is no syscall: `host` and `port`."""
    host, port = normalise_host(_text(arguments, "host")), arguments.get("port")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 1 << 16:
        raise InvalidRequest("arguments need 'port', a whole number from 1 to 65535")
    decision = check_connection(permissions, host, port)
    if decision.allowed and as_address(host) is not None:
        by_address = check_address(permissions, host, port, host)
        return decision if by_address.allowed else by_address
    return decision


def explain_spawn(
    permissions: Permissions, arguments: Mapping[str, Any], _: str | None
) -> Decision:
    """Of SPAWN: `permissions`, and whether the child may run `command` with them."""
    decision = check_flag(permissions, "can_spawn")
    if not decision.allowed:
        return decision
    asked, wanted = arguments.get("permissions"), parse(Level.STANDARD)
    if isinstance(asked, str):
        wanted = parse(asked)
    elif isinstance(asked, dict):
        wanted = parse(None, asked, wanted)
    elif asked is not None:
        raise InvalidRequest("permissions are an object or the name of a level")
    command = arguments.get("command")
    if command is not None:
        refused = _refused_command(narrow(permissions, wanted), command, arguments.get("python"))
        if refused is not None:
            return refused
    cut = () if asked is None else excesses(permissions, wanted)
    if not cut:
        return decision
    return Decision(True, decision.rule, f"the child gets less than asked for: {', '.join(cut)}")


def _refused_command(permissions: Permissions, command: Any, python: Any) -> Decision | None:
    """Why a child with these permissions would not be started; None: it would be."""
    if not (isinstance(command, list) and command and set(map(type, command)) == {str}):
        raise InvalidRequest("arguments need 'command', a list of strings")
    decision = check_main_program(permissions, command, python if isinstance(python, str) else "")
    return None if decision.allowed else decision


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise InvalidRequest(f"arguments need {name!r}, a string")
    return value


def _path(arguments: Mapping[str, Any], cwd: str | None) -> str:
    path = _text(arguments, "path")
    return path if path.startswith("/") or cwd is None else f"{cwd}/{path}"
