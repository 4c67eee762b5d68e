"""A relay's REST API as a blocking client (docs/fleet.md). Standard library only::

    fleet = FleetClient("https://relay.example.org:8766", token)
    for machine in fleet.machines():
        print(machine["machine_id"], machine["presence"])

A connection is opened for each call, redirections are not followed and no proxy of the environment is
used, so that the token goes to the relay that was named and nowhere else; and without TLS it goes
to this machine alone.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from clove.client.fleet_http import FleetHTTP
from clove.errors import ConnectionLost

__all__ = ["DEFAULT_RELAY", "FleetClient"]

DEFAULT_RELAY: Final = "http://127.0.0.1:8766"
PAGE: Final = 1000
DEPLOY: Final = "/api/v1/agents/deploy"
ATTEMPTS: Final = 5
"""To be told the results of a deploy on many machines."""


class FleetClient:
    """Machines, tokens and remote agents of one relay.

    Every call raises a L{CloveError}: what the relay says (C{PermissionDenied}, C{NotFound},
    C{NotAuthenticated}, ...), or that it was not reached (L{ConnectionLost}, L{TimedOut}).

    @param url: of the relay's REST API.
    @param token: of kind admin, agent or machine.
    @param ca_file: certificates in PEM that are trusted instead of the host's.
    @param timeout: seconds that the relay may be silent.
    @param plain: send the token without TLS to another machine.
    @raise InvalidRequest: the url is none, or would send the token unencrypted.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        ca_file: str | None = None,
        timeout: float = 30.0,
        plain: bool = False,
    ) -> None:
        self._http = FleetHTTP(url, token, ca_file, timeout, plain)

    def status(self) -> dict[str, Any]:
        """Numbers of what the token's bearer may see."""
        return self._http.call("GET", "/api/v1/status")

    def machines(self) -> Iterator[dict[str, Any]]:
        """Machines by id, page by page."""
        return self._pages("/api/v1/machines", "machines")

    def machine(self, machine_id: str) -> dict[str, Any]:
        """One machine."""
        return self._http.call("GET", _machine(machine_id))

    def add_machine(self, machine_id: str, **facts: Any) -> dict[str, Any]:
        """Register a machine of version 1; its C{token} is in the reply and nowhere else.

        @param facts: provider, name, labels, metadata.
        """
        return self._http.call("POST", "/api/v1/machines", {"machine_id": machine_id, **facts})

    def change_machine(self, machine_id: str, **facts: Any) -> dict[str, Any]:
        """Change name, provider, labels, metadata or draining; what is not given stays."""
        return self._http.call("PATCH", _machine(machine_id), facts)

    def remove_machine(self, machine_id: str) -> dict[str, Any]:
        """Forget a machine; its tunnel ends, its key and tokens are not valid any more."""
        return self._http.call("DELETE", _machine(machine_id))

    def agents(self, machine_id: str = "") -> list[dict[str, Any]]:
        """Remote agents that are connected."""
        query = f"?{urlencode({'machine_id': machine_id})}" if machine_id else ""
        found: list[dict[str, Any]] = self._http.call("GET", f"/api/v1/agents{query}")["agents"]
        return found

    def machine_agents(self, machine_id: str, *, all: bool = False) -> list[dict[str, Any]]:
        """Agents on a machine, as its kernel's LIST has them; with C{all} those that ended, too."""
        path = f"{_machine(machine_id)}/agents{'?all=true' if all else ''}"
        found: list[dict[str, Any]] = self._http.call("GET", path)["agents"]
        return found

    def deploy(
        self,
        machine_id: str,
        script_name: str = "",
        script_content: str = "",
        *,
        command: Sequence[str] = (),
        archive: bytes = b"",
        idempotency_key: str = "",
        **options: Any,
    ) -> dict[str, Any]:
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
        return self._http.call("POST", DEPLOY, body, headers)

    def deploy_on_all(
        self,
        script_name: str = "",
        script_content: str = "",
        *,
        selector: Mapping[str, Any],
        command: Sequence[str] = (),
        archive: bytes = b"",
        idempotency_key: str = "",
        **options: Any,
    ) -> Iterator[dict[str, Any]]:
        """Start it on every machine that a selector names; gives a result for each as it is known.

        Its C{status} is deployed, sent (to a tunnel of version 1), unavailable (not connected, or drained) or
        failed, with C{agent_id} and C{agent_name}, or C{error}, C{code} and C{hint}. Asked for again
        when the connection is cut; nothing is started twice by that.

        @param selector: machines (a list), labels, all; of these the token's.
        @param options: as L{deploy} has them.
        """
        body = {"selector": dict(selector), **options}
        body |= _what(script_name, script_content, command, archive)
        key = idempotency_key or secrets.token_hex(16)
        seen: set[str] = set()
        for attempt in range(ATTEMPTS):
            try:
                for kind, _, fields in self._http.events(
                    DEPLOY, "POST", body, {"Idempotency-Key": key}
                ):
                    if kind == "done":
                        return
                    if kind == "result" and fields["machine_id"] not in seen:
                        seen.add(fields["machine_id"])
                        yield fields
            except ConnectionLost:
                if attempt + 1 == ATTEMPTS:
                    raise
                time.sleep(0.5 * 2**attempt)

    def stop_agent(self, machine_id: str, agent_id: int) -> dict[str, Any]:
        """End an agent of a machine."""
        return self._http.call(
            "POST", f"/api/v1/agents/{int(agent_id)}/stop", {"machine_id": machine_id}
        )

    def logs(self, machine_id: str, agent_id: int, *, since: int = 0) -> dict[str, Any]:
        """Lines of an agent's output from an offset on; C{next} is the one to ask for next."""
        query = urlencode({"machine_id": machine_id, "since": since})
        return self._http.call("GET", f"/api/v1/agents/{int(agent_id)}/logs?{query}")

    def follow_logs(
        self, machine_id: str, agent_id: int, *, since: int = 0
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """An agent's output as it comes, until it has ended: pairs of a kind and its fields.

        Kinds are C{line} {offset, stream, text, timestamp}, C{lost} {lines} and C{exit} {exit_code,
        signal, reason}. A stream that was cut is asked for again from where it was.

        @raise CloveError: it cannot be read (any more).
        """
        query = {"machine_id": machine_id, "follow": "true"}
        path = f"/api/v1/agents/{int(agent_id)}/logs"
        return self._http.resumed(path, query, since, self._http.events)

    def stream(
        self, machine_id: str, agent_id: int, *, since: int = 0, attach: bool = False
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """An agent's output as bytes, and what becomes of it, until it has ended: pairs of a kind and its fields.

        Kinds are C{output} {offset, stream, data (bytes)}, C{lost} {bytes}, C{status} {state} and C{exit}
        {exit_code, signal, reason}. A stream that was cut is asked for again from where it was.

        @param since: offset of the first byte, over both streams.
        @param attach: the agent writes no faster than this is read, and nothing is lost.
        @raise CloveError: it cannot be read (any more).
        """
        query = {"machine_id": machine_id, "attach": "true" if attach else "false"}
        path = f"/api/v1/agents/{int(agent_id)}/stream"
        return self._http.resumed(path, query, since, self._http.socket_events)

    def denials(
        self, *, machine_id: str = "", kind: str = "", most: int = 100
    ) -> Iterator[dict[str, Any]]:
        """What was refused, the newest first, page by page; of each relay its own.

        @param kind: token, route, site, connection or kernel; "": all.
        @param most: entries at most.
        """
        before = 0
        while most > 0:
            query: dict[str, Any] = {"before": before, "limit": min(most, PAGE)}
            query |= {"kind": kind, "machine_id": machine_id}
            page = self._http.call("GET", f"/api/v1/audit?{urlencode(query)}")
            yield from page["entries"]
            most -= len(page["entries"])
            before = page["next"]
            if not before:
                return

    def tokens(self) -> Iterator[dict[str, Any]]:
        """Tokens without their values, page by page."""
        return self._pages("/api/v1/tokens", "tokens")

    def issue_token(self, kind: str, **given: Any) -> dict[str, Any]:
        """Make a token; its C{token} is in the reply and nowhere else.

        @param kind: admin, agent, machine or join.
        @param given: as docs/fleet.md has it for each kind.
        """
        return self._http.call("POST", f"/api/v1/tokens/{quote(kind, safe='')}", given)

    def revoke_token(self, token_id: str) -> dict[str, Any]:
        """Make a token invalid; when this returns, what it had opened has ended."""
        return self._http.call("DELETE", f"/api/v1/tokens/{quote(token_id, safe='')}")

    def _pages(self, path: str, name: str) -> Iterator[dict[str, Any]]:
        after = ""
        while True:
            page = self._http.call("GET", f"{path}?{urlencode({'limit': PAGE, 'after': after})}")
            yield from page[name]
            after = page["next"]
            if not after:
                return


def _what(name: str, content: str, command: Sequence[str], archive: bytes) -> dict[str, Any]:
    if not command:
        return {"script_name": name, "script_content": content}
    return {"command": list(command), "archive": base64.b64encode(archive).decode()}


def _machine(machine_id: str) -> str:
    return f"/api/v1/machines/{quote(machine_id, safe='')}"
