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
import contextlib
import http.client
import json
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from clove.client.relay_replies import MOST_REPLY, address_of, understood
from clove.client.server_events import events_of
from clove.errors import (
    CloveError,
    ConnectionLost,
    InvalidRequest,
    TimedOut,
    Unavailable,
    error_from_reply,
)

__all__ = ["DEFAULT_RELAY", "FleetClient"]

DEFAULT_RELAY: Final = "http://127.0.0.1:8766"
PAGE: Final = 1000
_ATTEMPTS: Final = 15
"""To go on with a stream that was cut."""


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
        self._host, self._port, secure = address_of(url, plain)
        self._token = token
        self._timeout = timeout
        self._tls: ssl.SSLContext | None = None
        if secure:
            try:
                self._tls = ssl.create_default_context(cafile=ca_file)
            except (OSError, ssl.SSLError) as error:
                raise InvalidRequest(f"cannot use the certificates in {ca_file}: {error}") from None

    def status(self) -> dict[str, Any]:
        """Numbers of what the token's bearer may see."""
        return self._call("GET", "/api/v1/status")

    def machines(self) -> Iterator[dict[str, Any]]:
        """Machines by id, page by page."""
        return self._pages("/api/v1/machines", "machines")

    def machine(self, machine_id: str) -> dict[str, Any]:
        """One machine."""
        return self._call("GET", _machine(machine_id))

    def add_machine(self, machine_id: str, **facts: Any) -> dict[str, Any]:
        """Register a machine of version 1; its C{token} is in the reply and nowhere else.

        @param facts: provider, name, labels, metadata.
        """
        return self._call("POST", "/api/v1/machines", {"machine_id": machine_id, **facts})

    def change_machine(self, machine_id: str, **facts: Any) -> dict[str, Any]:
        """Change name, provider, labels, metadata or draining; what is not given stays."""
        return self._call("PATCH", _machine(machine_id), facts)

    def remove_machine(self, machine_id: str) -> dict[str, Any]:
        """Forget a machine; its tunnel ends, its key and tokens are not valid any more."""
        return self._call("DELETE", _machine(machine_id))

    def agents(self, machine_id: str = "") -> list[dict[str, Any]]:
        """Remote agents that are connected."""
        query = f"?{urlencode({'machine_id': machine_id})}" if machine_id else ""
        found: list[dict[str, Any]] = self._call("GET", f"/api/v1/agents{query}")["agents"]
        return found

    def machine_agents(self, machine_id: str, *, all: bool = False) -> list[dict[str, Any]]:
        """Agents on a machine, as its kernel's LIST has them; with C{all} those that ended, too."""
        path = f"{_machine(machine_id)}/agents{'?all=true' if all else ''}"
        found: list[dict[str, Any]] = self._call("GET", path)["agents"]
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
        if command:
            body["command"] = list(command)
            body["archive"] = base64.b64encode(archive).decode()
        else:
            body |= {"script_name": script_name, "script_content": script_content}
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._call("POST", "/api/v1/agents/deploy", body, headers)

    def stop_agent(self, machine_id: str, agent_id: int) -> dict[str, Any]:
        """End an agent of a machine."""
        return self._call(
            "POST", f"/api/v1/agents/{int(agent_id)}/stop", {"machine_id": machine_id}
        )

    def logs(self, machine_id: str, agent_id: int, *, since: int = 0) -> dict[str, Any]:
        """Lines of an agent's output from an offset on; C{next} is the one to ask for next."""
        query = urlencode({"machine_id": machine_id, "since": since})
        return self._call("GET", f"/api/v1/agents/{int(agent_id)}/logs?{query}")

    def follow_logs(
        self, machine_id: str, agent_id: int, *, since: int = 0
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """An agent's output as it comes, until it has ended: pairs of a kind and its fields.

        Kinds are C{line} {offset, stream, text, timestamp}, C{lost} {lines} and C{exit} {exit_code,
        signal, reason}. A stream that was cut is asked for again from where it was.

        @raise CloveError: it cannot be read (any more).
        """
        query = {"machine_id": machine_id, "follow": "true"}
        return self._resumed(f"/api/v1/agents/{int(agent_id)}/logs", query, since)

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
        for kind, fields in self._resumed(f"/api/v1/agents/{int(agent_id)}/stream", query, since):
            if kind == "output":
                fields["data"] = base64.b64decode(fields["data"])
            yield kind, fields

    def _resumed(
        self, path: str, query: dict[str, str], since: int
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Events until the last one; a stream that was cut goes on behind the last number."""
        attempts, began = 0, False
        while True:
            try:
                asked = f"{path}?{urlencode({**query, 'since': since})}"
                for kind, number, fields in self._events(asked):
                    attempts, began = 0, True
                    since = number if number is not None else since
                    if kind == "error":
                        raise error_from_reply(fields)
                    yield kind, fields
                    if kind == "exit":
                        return
                raise ConnectionLost("the relay has ended the stream")
            except (ConnectionLost, TimedOut, Unavailable) as error:
                attempts += 1
                if attempts > _ATTEMPTS or (isinstance(error, Unavailable) and not began):
                    raise
                time.sleep(min(2.0, 0.1 * 2**attempts))

    def _events(self, path: str) -> Iterator[tuple[str, int | None, dict[str, Any]]]:
        """Kind, number to go on from, and fields."""
        with self._asked("GET", path, None, {"Accept": "text/event-stream"}) as reply:
            if reply.getheader("Content-Type") != "text/event-stream":
                understood(reply.status, reply.getheader("Retry-After"), reply.read(MOST_REPLY))
                raise CloveError("this is no stream of events", hint="is this a relay's address?")
            yield from events_of(lambda: reply.readline(MOST_REPLY))

    def tokens(self) -> Iterator[dict[str, Any]]:
        """Tokens without their values, page by page."""
        return self._pages("/api/v1/tokens", "tokens")

    def issue_token(self, kind: str, **given: Any) -> dict[str, Any]:
        """Make a token; its C{token} is in the reply and nowhere else.

        @param kind: admin, agent, machine or join.
        @param given: as docs/fleet.md has it for each kind.
        """
        return self._call("POST", f"/api/v1/tokens/{quote(kind, safe='')}", given)

    def revoke_token(self, token_id: str) -> dict[str, Any]:
        """Make a token invalid; when this returns, what it had opened has ended."""
        return self._call("DELETE", f"/api/v1/tokens/{quote(token_id, safe='')}")

    def _pages(self, path: str, name: str) -> Iterator[dict[str, Any]]:
        after = ""
        while True:
            page = self._call("GET", f"{path}?{urlencode({'limit': PAGE, 'after': after})}")
            yield from page[name]
            after = page["next"]
            if not after:
                return

    def _call(
        self,
        method: str,
        path: str,
        body: object = None,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, Any]:
        with self._asked(method, path, body, more) as reply:
            raw = reply.read(MOST_REPLY + 1)
            return understood(reply.status, reply.getheader("Retry-After"), raw)

    @contextlib.contextmanager
    def _asked(
        self, method: str, path: str, body: object, more: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        """A reply that is read within; what goes wrong with the connection is an error of ours."""
        payload = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", **more}
        if payload is not None:
            headers["Content-Type"] = "application/json"
        connection = _connection(self._host, self._port, self._timeout, self._tls)
        try:
            connection.request(method, path, payload, headers)
            yield connection.getresponse()
        except TimeoutError:
            raise TimedOut(
                f"the relay at {self._host} has not answered in {self._timeout:.0f} s",
                hint="a request that changes something may have been executed",
            ) from None
        except ssl.SSLError as error:
            raise ConnectionLost(
                f"no TLS with the relay at {self._host}: {error.reason or error}",
                hint="check its certificate, or name its authority's with ca_file",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionLost(
                f"cannot reach the relay at {self._host} port {self._port}: {error}",
                hint="is it running (twistd clove-relay), and is this its address?",
            ) from None
        finally:
            connection.close()


def _connection(
    host: str, port: int, timeout: float, tls: ssl.SSLContext | None
) -> http.client.HTTPConnection:
    if tls is None:
        return http.client.HTTPConnection(host, port, timeout=timeout)
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=tls)


def _machine(machine_id: str) -> str:
    return f"/api/v1/machines/{quote(machine_id, safe='')}"
