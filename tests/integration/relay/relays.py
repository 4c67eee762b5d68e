"""A relay in the test's own process, and requests to it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import treq
from twisted.internet import reactor

from clove.relay.config import HubSettings, Limits, RelayConfig, RestSettings
from clove.relay.parts import Parts

__all__ = ["Relay", "Reply", "running_relay"]


class Reply(NamedTuple):
    """What came back.

    @ivar headers: by lower-case name.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Relay(NamedTuple):
    """A relay that runs.

    @ivar admin: the text of its first token.
    """

    parts: Parts
    admin: str
    port: int

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: dict[bytes | str, bytes | str] | None = None,
    ) -> Reply:
        """One request; with the admin token unless another is given, "" for none."""
        given: dict[bytes | str, bytes | str] = {**(headers or {})}
        chosen = self.admin if token is None else token
        if chosen:
            given["Authorization"] = f"Bearer {chosen}"
        data = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        url = f"http://127.0.0.1:{self.port}{path}"
        reply = await treq.request(
            method, url, headers=given, data=data, persistent=False, allow_redirects=False
        )
        found = {
            name.decode().lower(): values[-1].decode()
            for name, values in reply.headers.getAllRawHeaders()
        }
        return Reply(reply.code, found, await treq.content(reply))

    async def made(self, path: str, body: object = None) -> Any:
        """What an administrator makes by a POST."""
        reply = await self.ask("POST", path, body or {})
        assert reply.status == 201, reply
        return reply.json


@contextlib.asynccontextmanager
async def running_relay(
    directory: Path,
    *,
    hosts: list[str] | None = None,
    proxies: list[str] | None = None,
    admin: str = "",
    **limits: Any,
) -> AsyncIterator[Relay]:
    """A relay on a port of its own.

    @param hosts: names that are its own.
    @param proxies: that it trusts, on both ports.
    @param admin: a token that it has from before.
    @param limits: structs of L{Limits}.
    """
    trusted = proxies or []
    rest = RestSettings(port=0, hosts=hosts or [], trusted_proxies=trusted)
    hub = HubSettings(port=0, trusted_proxies=trusted)
    config = RelayConfig(rest=rest, hub=hub, limits=Limits(**limits))
    parts = Parts(reactor, config, str(directory / "relay.sqlite"))
    parts.listen()
    parts.start()
    try:
        token = await parts.first_token()
        assert (token is None) == bool(admin)
        assert parts.rest is not None
        port = parts.rest.getHost().port  # type: ignore[attr-defined] # an IAddress
        yield Relay(parts, token or admin, port)
    finally:
        await parts.stop()
