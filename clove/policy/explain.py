"""What policy would say to a syscall, judged by its words alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from clove.errors import InvalidRequest
from clove.policy.commands import check_command
from clove.policy.decision import Decision
from clove.policy.delegation import excesses
from clove.policy.domains import check_address, check_connection, check_url
from clove.policy.hosts import as_address, normalise_host
from clove.policy.levels import Level
from clove.policy.needs import check_needs
from clove.policy.parsing import parse
from clove.policy.paths import check_read, check_write
from clove.policy.permissions import Permissions, check_flag

__all__ = ["explain"]

_FREE: Final = Decision(True, "no rule", "no permission governs it; it may still need the operator")


def explain(
    permissions: Permissions, syscall: str, arguments: Mapping[str, Any], cwd: str | None = None
) -> Decision:
    """The decision for a syscall with these arguments.

    @param syscall: its name in upper case, such as `READ`; or CONNECT, with host and port,
        for a connection that a program makes itself.
    @param cwd: what a relative path starts from; None if that is not known.
    @raise InvalidRequest: the arguments make no sense for it.
    """
    if syscall in ("READ", "WRITE"):
        path = _text(arguments, "path")
        if not path.startswith("/") and cwd is not None:
            path = f"{cwd}/{path}"
        check = check_read if syscall == "READ" else check_write
        return check(permissions, path)
    if syscall == "EXEC":
        command = arguments.get("command")
        if isinstance(command, list) and set(map(type, command)) <= {str}:
            return check_command(permissions, command)
        return check_command(permissions, _text(arguments, "command"))
    if syscall == "HTTP":
        return _http(permissions, arguments)
    if syscall == "CONNECT":
        return _connect(permissions, arguments)
    if syscall == "SPAWN":
        return _spawn(permissions, arguments)
    return check_needs(permissions, syscall) or _FREE


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise InvalidRequest(f"arguments need {name!r}, a string")
    return value


def _http(permissions: Permissions, arguments: Mapping[str, Any]) -> Decision:
    method = _text(arguments, "method").upper() if "method" in arguments else "GET"
    decision, target = check_url(permissions, method, _text(arguments, "url"))
    if decision.allowed and target.address is not None:
        by_address = check_address(permissions, target.host, target.port, target.host)
        return decision if by_address.allowed else by_address
    return decision


def _connect(permissions: Permissions, arguments: Mapping[str, Any]) -> Decision:
    host, port = normalise_host(_text(arguments, "host")), arguments.get("port")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 1 << 16:
        raise InvalidRequest("arguments need 'port', a whole number from 1 to 65535")
    decision = check_connection(permissions, host, port)
    if decision.allowed and as_address(host) is not None:
        by_address = check_address(permissions, host, port, host)
        return decision if by_address.allowed else by_address
    return decision


def _spawn(permissions: Permissions, arguments: Mapping[str, Any]) -> Decision:
    decision = check_flag(permissions, "can_spawn")
    asked = arguments.get("permissions")
    if not decision.allowed or asked is None:
        return decision
    if isinstance(asked, str):
        wanted = parse(asked)
    elif isinstance(asked, dict):
        wanted = parse(None, asked, parse(Level.STANDARD))
    else:
        raise InvalidRequest("permissions are an object or the name of a level")
    cut = excesses(permissions, wanted)
    if not cut:
        return decision
    return Decision(True, decision.rule, f"the child gets less than asked for: {', '.join(cut)}")
