"""The requests of a fleet's clients: one function for each method of theirs. Pure; standard library only."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from clove.client.fleet_plan import Asked, Event, Planned, counted_pages, pages, repeated, resumed

__all__ = [
    "add_machine",
    "agents",
    "begin_login",
    "change_machine",
    "collect_login",
    "denials",
    "deploy",
    "deploy_on_all",
    "follow_logs",
    "issue_token",
    "logs",
    "machine",
    "machine_agents",
    "machines",
    "narrow_token",
    "remove_machine",
    "revoke_token",
    "rotate_token",
    "status",
    "stop_agent",
    "stream",
    "token",
    "tokens",
]

_DEPLOY: Final = "/api/v1/agents/deploy"


def status() -> Asked:
    """Numbers of what the token's bearer may see."""
    return Asked("GET", "/api/v1/status")


def machines() -> Planned[dict[str, Any]]:
    """Machines by id, page by page."""
    return Planned(lambda: pages("/api/v1/machines", "machines"))


def machine(machine_id: str) -> Asked:
    """One machine."""
    return Asked("GET", _machine(machine_id))


def add_machine(machine_id: str, **facts: Any) -> Asked:
    """Register a machine of version 1; its C{token} is in the reply and nowhere else.

    @param facts: provider, name, labels, metadata.
    """
    return Asked("POST", "/api/v1/machines", {"machine_id": machine_id, **facts})


def change_machine(machine_id: str, **facts: Any) -> Asked:
    """Change name, provider, labels, metadata or draining; what is not given stays."""
    return Asked("PATCH", _machine(machine_id), facts)


def remove_machine(machine_id: str) -> Asked:
    """Forget a machine; its tunnel ends, its key and tokens are not valid any more."""
    return Asked("DELETE", _machine(machine_id))


def agents(machine_id: str = "") -> Planned[dict[str, Any]]:
    """Remote agents that are connected, page by page."""
    query = {"machine_id": machine_id} if machine_id else {}
    return Planned(lambda: pages("/api/v1/agents", "agents", query))


def machine_agents(machine_id: str, *, all: bool = False) -> Planned[dict[str, Any]]:
    """Agents on a machine, as its kernel's LIST has them, page by page; with C{all} those that ended, too."""
    query = {"all": "true"} if all else {}
    return Planned(lambda: pages(f"{_machine(machine_id)}/agents", "agents", query))


def deploy(
    machine_id: str,
    script_name: str = "",
    script_content: str = "",
    *,
    command: Sequence[str] = (),
    archive: bytes = b"",
    idempotency_key: str = "",
    **options: Any,
) -> Asked:
    """Start a script or a command as a sandboxed agent of a machine; C{agent_id} is in the reply.

    @param command: instead of a script; runs where the archive was unpacked.
    @param archive: a tar, plain or compressed, of files, directories and links between them.
    @param idempotency_key: a repeated call with the same key starts nothing twice.
    @param options: args, name, env, labels, limits, network, permissions, restart_policy, timeout,
        attach (keep all output for a L{stream} with C{attach});
        with a command C{requirements}, a text that pip gets before.
    """
    body = {"machine_id": machine_id, **options}
    body |= _what(script_name, script_content, command, archive)
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    return Asked("POST", _DEPLOY, body, headers)


def deploy_on_all(
    script_name: str = "",
    script_content: str = "",
    *,
    selector: Mapping[str, Any],
    command: Sequence[str] = (),
    archive: bytes = b"",
    idempotency_key: str = "",
    **options: Any,
) -> Planned[dict[str, Any]]:
    """Start it on every machine that a selector names; gives a result for each as it is known.

    Its C{status} is deployed, sent (to a tunnel of version 1), unavailable (not connected, or drained) or
    failed, with C{agent_id} and C{agent_name}, or C{error}, C{code} and C{hint}. Asked for again
    when the connection is cut; nothing is started twice by that.

    @param selector: machines (a list), labels, all; of these the token's.
    @param options: as L{deploy} has them.
    """
    body = {"selector": dict(selector), **options}
    body |= _what(script_name, script_content, command, archive)
    return Planned(lambda: repeated(_DEPLOY, body, idempotency_key))


def stop_agent(machine_id: str, agent_id: int) -> Asked:
    """End an agent of a machine."""
    return Asked("POST", f"/api/v1/agents/{int(agent_id)}/stop", {"machine_id": machine_id})


def logs(machine_id: str, agent_id: int, *, since: int = 0) -> Asked:
    """Lines of an agent's output from an offset on; C{next} is the one to ask for next."""
    query = urlencode({"machine_id": machine_id, "since": since})
    return Asked("GET", f"/api/v1/agents/{int(agent_id)}/logs?{query}")


def follow_logs(machine_id: str, agent_id: int, *, since: int = 0) -> Planned[Event]:
    """An agent's output as it comes, until it has ended: pairs of a kind and its fields.

    Kinds are C{line} {offset, stream, text, timestamp}, C{lost} {lines} and C{exit} {exit_code,
    signal, reason}. A stream that was cut is asked for again from where it was.

    @raise CloveError: it cannot be read (any more).
    """
    query = {"machine_id": machine_id, "follow": "true"}
    path = f"/api/v1/agents/{int(agent_id)}/logs"
    return Planned(lambda: resumed(path, query, since, lossy=False))


def stream(
    machine_id: str, agent_id: int, *, since: int = 0, attach: bool = False
) -> Planned[Event]:
    """An agent's output as bytes, and what becomes of it, until it has ended: pairs of a kind and its fields.

    Kinds are C{output} {offset, stream, data (bytes)}, C{lost} {bytes}, C{status} {state} and C{exit}
    {exit_code, signal, reason}. A stream that was cut is asked for again from where it was.

    @param since: offset of the first byte, over both streams.
    @param attach: the agent writes no faster than this is read, and nothing is lost.
    @raise CloveError: it cannot be read (any more).
    """
    query = {"machine_id": machine_id, "attach": "true" if attach else "false"}
    path = f"/api/v1/agents/{int(agent_id)}/stream"
    return Planned(lambda: resumed(path, query, since, lossy=True))


def denials(*, machine_id: str = "", kind: str = "", most: int = 100) -> Planned[dict[str, Any]]:
    """What was refused at all relays, the newest first, page by page.

    @param kind: token, route, site, connection or kernel; "": all.
    @param most: entries at most.
    """
    query = {"kind": kind, "machine_id": machine_id}
    return Planned(lambda: counted_pages("/api/v1/audit", query, most))


def tokens() -> Planned[dict[str, Any]]:
    """Tokens without their values, page by page."""
    return Planned(lambda: pages("/api/v1/tokens", "tokens"))


def token(token_id: str = "") -> Asked:
    """One token without its value; "": the one that is shown."""
    return Asked("GET", _token(token_id) if token_id else "/api/v1/token")


def rotate_token(token_id: str, *, grace_seconds: float = 0.0, **given: Any) -> Asked:
    """Make a token like this one, which ends after the grace period; C{token} is in the reply and nowhere else.

    @param given: expires_hours, of the new one; else it lives as long as the old one was to.
    """
    body = {"grace_seconds": grace_seconds, **given}
    return Asked("POST", f"{_token(token_id)}/rotate", body)


def narrow_token(token_id: str, **changes: Any) -> Asked:
    """Have a token reach less, be allowed less or expire sooner; when this returns, what it does not reach any more
    has ended.

    @param changes: name, target_machines, labels, permissions, expires_hours.
    """
    return Asked("PATCH", _token(token_id), changes)


def begin_login(name: str = "") -> Asked:
    """Ask for a token without having one: a person confirms C{user_code} on the relay's page."""
    return Asked("POST", "/api/v1/logins", {"name": name})


def collect_login(device_code: str) -> Asked:
    """What has become of it: C{status} is waiting, or confirmed and C{token} there, once."""
    return Asked("POST", "/api/v1/logins/token", {"device_code": device_code})


def issue_token(kind: str, **given: Any) -> Asked:
    """Make a token; its C{token} is in the reply and nowhere else.

    @param kind: admin, agent, machine or join.
    @param given: as docs/fleet.md has it for each kind.
    """
    return Asked("POST", f"/api/v1/tokens/{quote(kind, safe='')}", given)


def revoke_token(token_id: str = "") -> Asked:
    """Make a token invalid, "": the one that is shown; when this returns, what it had opened has ended."""
    return Asked("DELETE", _token(token_id) if token_id else "/api/v1/token")


def _token(token_id: str) -> str:
    return f"/api/v1/tokens/{quote(token_id, safe='')}"


def _what(name: str, content: str, command: Sequence[str], archive: bytes) -> dict[str, Any]:
    if not command:
        return {"script_name": name, "script_content": content}
    return {"command": list(command), "archive": base64.b64encode(archive).decode()}


def _machine(machine_id: str) -> str:
    return f"/api/v1/machines/{quote(machine_id, safe='')}"
